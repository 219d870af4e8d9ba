"""Crash points act where and when they are asked to, and not otherwise."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from penstock.errors import ConfigError, FatalError, TransientError
from penstock.faults.points import RUN_POINTS, parse_faults


def test_nothing_happens_unless_asked() -> None:
    faults = parse_faults("")
    for point in RUN_POINTS:
        faults.reached(point)
    assert set(faults.seen) == set(RUN_POINTS)


def test_a_point_fails_at_the_time_it_was_asked_to() -> None:
    faults = parse_faults("run.planned@2=raise, run.committed=lost")
    faults.reached("run.planned")
    with pytest.raises(FatalError) as caught:
        faults.reached("run.planned")
    assert caught.value.code == "FLT-100"
    with pytest.raises(TransientError) as lost:
        faults.reached("run.committed")
    assert lost.value.code == "FLT-101"
    faults.reached("run.committed")


def test_kill_runs_no_handler() -> None:
    code = (
        "from penstock.faults.points import parse_faults\n"
        "try: parse_faults('p=kill').reached('p')\n"
        "finally: print('handled')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""


@pytest.mark.parametrize("text", ["p", "=kill", "p=", "p=kil", "p@x=kill", "p@-1=raise"])
def test_what_is_not_understood_is_said(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_faults(text)
    assert caught.value.code == "FLT-110"


def test_a_point_that_no_run_has_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_faults("run.comitted=kill")
    (problem,) = caught.value.problems
    assert (problem.code, problem.hint) == ("FLT-120", 'did you mean "run.committed"?')


def test_a_point_that_nothing_passed_is_told_afterwards() -> None:
    faults = parse_faults("files.staged@2=raise, fils.staged=raise, run.taken=raise")
    faults.reached("files.staged")
    with pytest.raises(FatalError):
        faults.reached("run.taken")
    (told,) = faults.not_passed()
    assert (told.code, told.severity, told.hint) == ("FLT-121", "warning", 'did you mean "files.staged"?')
    assert "files.staged, run.taken" in str(told.detail)
