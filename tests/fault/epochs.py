"""Whole runs of a small pipeline that die at a named point, in this process or in one of their own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from crashes import children

from penstock.clock import SystemClock
from penstock.document.assembly import Settings
from penstock.errors import PenstockError
from penstock.events import Events
from penstock.faults.children import KILLED
from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus
from penstock.service.request import Request
from penstock.service.running import RunResult, run
from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 60
BAD = 2

# Two sinks share a pass, and what is kept for them; a third reads the first one's table; some rows are rejected.
DOCUMENT = """
pipeline: crash
sources:
  numbers: {{type: csv, path: numbers.csv, schema: {{columns: {{k: int64, part: string, v: "decimal(9,2)"}}}}}}
transforms:
  even:
    from: numbers
    steps:
      - filter: k % 3 <> 0
      - limit: 1000
  summary:
    from: appended
    steps:
      - aggregate: {{by: [part], measures: {{n: count(*), total: "sum(v)::decimal(18,2)"}}}}
sinks:
  appended: {appended}
  merged: {merged}
  summed: {summed}
run: {{memory: 256 MiB, threads: 1}}
"""


class System(Frozen):
    """The three sinks of one system, as they stand in the document; $PLACE is the name of the project's folder.

    ``points`` are the system's crash points that a first run passes; ``ledger`` is what the project file says of it, if
    there is to be one.
    """

    name: str
    appended: str
    merged: str
    summed: str
    points: frozenset[str] = frozenset()
    variables: dict[str, str] = field(default_factory=dict)
    ledger: str = ""

    def project(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        lines = [f"{number},{'abc'[number % 3]},{number}.25" for number in range(ROWS - BAD)]
        lines[7:7] = ["oops,a,1.00", "5,b"]
        (folder / "numbers.csv").write_text("\n".join(["k,part,v", *lines]) + "\n", encoding="utf-8")
        text = DOCUMENT.format(appended=self.appended, merged=self.merged, summed=self.summed)
        (folder / "crash.yml").write_text(text.replace("$PLACE", folder.name), encoding="utf-8")
        if self.ledger:
            stated = f"project: {folder.name}\nledger: {self.ledger}\n"
            (folder / "penstock.yml").write_text(stated.replace("$PLACE", folder.name), encoding="utf-8")
        return folder / "crash.yml"

    def settings(self) -> Settings:
        return Settings({**os.environ, **self.variables})


class Hasty(SystemClock):
    """A clock whose waits are over at once."""

    def sleep(self, seconds: float) -> None:
        """No time passes."""


def once(system: System, file: Path, faults: Faults, *, full_refresh: bool = False) -> RunResult:
    request = Request(file, system.settings(), Hasty(), faults.reached, full_refresh)
    return run(request, Events(level="error"), faults)


def completed(system: System, file: Path) -> RunResult:
    """A run without faults, which must come to its end."""
    result = once(system, file, Faults())
    assert result.status is RunStatus.DONE, "\n".join(problem.render() for problem in result.problems)
    return result


def points(system: System, file: Path) -> list[tuple[str, int]]:
    """Every point that an uninterrupted run passes, and how often."""
    faults = Faults()
    result = once(system, file, faults)
    assert result.status is RunStatus.DONE, "\n".join(problem.render() for problem in result.problems)
    return [(point, time) for point, times in faults.seen.items() for time in range(1, times + 1)]


def die(
    system: System,
    file: Path,
    point: str,
    time: int,
    act: Literal["kill", "raise", "lost"],
    *,
    full_refresh: bool = False,
) -> None:
    """A run that fails at that point; one that loses an answer there finds out what came of it, and comes to its end."""
    faults = Faults({(point, time): act})
    if act == "kill":
        code = children().start(once, system, file, faults, full_refresh=full_refresh).join(120)
        assert code == KILLED, f"{point}@{time}: exit code {code}"
        return
    try:
        result = once(system, file, faults, full_refresh=full_refresh)
    except PenstockError as error:
        assert error.code.startswith("FLT-")  # noqa: PT017 -- it may as well be told in the result
        return
    expected = RunStatus.DONE if act == "lost" else RunStatus.FAILED
    assert result.status is expected, f"{act} at {point}@{time}: {result.status}"
