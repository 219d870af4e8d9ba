"""Signals that ask to end, at moments that are exact: the process sends them to itself where the test says."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest

from command_line import slow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INTERRUPTED = {"ok": False, "status": "interrupted", "problems": []}
TOLD = "interrupted; the state is consistent\n"
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
FILE = "pipelines/days.yml"

AT_IMPORT = """
import os, sys
class Finder:
    def find_spec(self, name, *_):
        if name == {name!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder())
from penstock.cli.main import main
main()
"""
IN_PLAN = """
import os, signal, sys, weakref
from penstock.service import inspecting
from penstock.cli import output
from penstock.cli.main import main
class Thing:
    pass
class Last:
    def __del__(self):
        os.kill(os.getpid(), {number})
def plan(request):
{body}
inspecting.plan = plan
main()
"""
FOREVER = "    while True:\n        signal.pause()\n"
FINALISER = f"    Last()\n{FOREVER}"
CALLBACK = f"    thing = Thing()\n    kept = weakref.ref(thing, lambda _: Last())\n    del thing\n{FOREVER}"
TWICE = """\
    try:
        os.kill(os.getpid(), {number})
    finally:
        os.kill(os.getpid(), {number})
        sys.stderr.write("tidied up\\n")
"""
ANSWERING = """\
    write = output.write
    def half(text):
        write(text[:4])
        os.kill(os.getpid(), {number})
        write(text[4:])
    output.write = half
    from penstock.service.families import PerPart
    return PerPart((), of_tables=True)
"""


def ran(program: str, *arguments: str, before: Callable[[], object] | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=before,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("name", ["penstock.cli.app", "typer", "penstock.errors", "penstock.service.inspecting"])
def test_a_signal_while_modules_are_imported(name: str, number: int) -> None:
    code, out, err = ran(AT_IMPORT.format(name=name, number=int(number)), "plan", FILE, "--json")
    assert (code, json.loads(out), err) == (130, INTERRUPTED, TOLD)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("body", [FINALISER, CALLBACK])
def test_an_interrupt_that_the_interpreter_drops_comes_again(body: str, number: int) -> None:
    program = IN_PLAN.format(number=int(number), body=body)
    assert ran(program, "plan", FILE) == (130, "", TOLD)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_request_to_end_leaves_the_tidying_up_alone(number: int) -> None:
    program = IN_PLAN.format(number=int(number), body=TWICE.format(number=int(number)))
    code, out, err = ran(program, "plan", FILE, "--json")
    assert (code, json.loads(out), err) == (130, INTERRUPTED, f"tidied up\n{TOLD}")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("number", ENDING)
def test_an_answer_that_has_begun_is_told_to_its_end(number: int) -> None:
    program = IN_PLAN.format(number=int(number), body=ANSWERING.format(number=int(number)))
    code, out, err = ran(program, "plan", FILE, "--json")
    assert (code, json.loads(out), err) == (0, {"members": []}, "")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_was_ignored_from_the_start_stays_ignored(number: signal.Signals) -> None:
    program = AT_IMPORT.format(name="typer", number=int(number))
    code, out, err = ran(program, "version", "--json", before=lambda: signal.signal(number, signal.SIG_IGN))
    assert (code, err) == (0, "")
    assert "penstock" in json.loads(out)


def test_a_terminal_that_is_closed_ends_a_run_and_the_answer_is_still_written(project: Path) -> None:
    slow(project)
    ours, theirs = pty.openpty()
    with (project / "answer.json").open("w", encoding="utf-8") as answer:
        child = subprocess.Popen(
            [sys.executable, "-c", "from penstock.cli.main import main; main()", "run", "slow.yml", "--json"],
            stdin=theirs,
            stdout=answer,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 -- its controlling terminal
        )
    os.close(theirs)
    seen = b""
    while b"pass 1 of 1" not in seen:
        part = os.read(ours, 65_536)
        assert part
        seen += part
    os.close(ours)  # the kernel sends SIGHUP
    assert child.wait(60) == 130
    assert json.loads((project / "answer.json").read_text(encoding="utf-8"))["status"] == "interrupted"
