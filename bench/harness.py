"""Whole processes, timed in turns: floor, ours, peers, again and again, so that drift of the machine hits all alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Command:
    """A program; ``before`` runs untimed ahead of each time (an empty target, a fresh table)."""

    argv: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] | None = None


@dataclass(frozen=True)
class Case:
    """One row of the report. ``gate`` and ``goal`` are ratios to the floor; ``claims`` says what a peer was set to."""

    name: str
    gate: float
    goal: float
    floor: str
    commands: Mapping[str, Command]  # "floor" and "penstock" among them; the others are peers
    claims: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Result:
    case: Case
    samples: Mapping[str, Sequence[Sample]]
    failed: Mapping[str, str]

    def median(self, name: str) -> float:
        return statistics.median(sample.seconds for sample in self.samples[name])

    def ratio(self, name: str) -> float:
        return self.median(name) / self.median("floor")


def measure(case: Case, repeats: int, *, peer_repeats: int) -> Result:
    samples: dict[str, list[Sample]] = {name: [] for name in case.commands}
    failed: dict[str, str] = {}
    for turn in range(repeats):
        for name, command in case.commands.items():
            is_peer = name not in {"floor", "penstock"}
            if name in failed or (is_peer and turn >= peer_repeats):
                continue
            sample, words = once(command)
            if sample is None:
                failed[name] = words
                if not is_peer:
                    raise SystemExit(f"{case.name}: {name} failed\n{words}")
            else:
                samples[name].append(sample)
                print(f"  {case.name:42} {name:28} {sample.seconds:8.2f} s {sample.megabytes:8.0f} MB", flush=True)
    return Result(case, {name: found for name, found in samples.items() if found}, failed)


def medians(commands: Mapping[str, Command], repeats: int) -> dict[str, float]:
    """Seconds of each, run in turns."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            sample, words = once(command)
            if sample is None:
                raise SystemExit(f"{name} failed\n{words}")
            found[name].append(sample.seconds)
            print(f"  {name:42} {sample.seconds:8.2f} s", flush=True)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def once(command: Command) -> tuple[Sample | None, str]:
    """One process from its start to its end; peak memory is the process's own."""
    if command.before is not None:
        command.before()
    log = command.folder / "output.log"
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command.argv,
            cwd=command.folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **command.environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        return None, log.read_text(encoding="utf-8", errors="replace")[-2000:]
    return Sample(seconds, usage.ru_maxrss / 1024), ""


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def penstock(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("penstock")), *arguments]
