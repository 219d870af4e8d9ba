"""For tests of the command line: a small project of its own for each, and calls inside this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from penstock.cli.app import execute

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOCUMENT = """\
pipeline: days
params:
  least: {type: int64, default: 0}
sources:
  raw: {type: csv, path: data/*.csv, schema: {columns: {day: date, price: "decimal(10,2)?"}}}
transforms:
  dear:
    from: raw
    steps:
      - filter: price > ${param.least}
      - derive: {doubled: price * 2}
sinks:
  out: {from: dear, type: csv, path: out/days.csv, mode: overwrite}
run: {memory: 256 MiB, threads: 1}
"""
DATA = "day,price\n2024-01-01,1.50\n2024-01-02,2.50\nyesterday,3.50\n2024-01-04,\n"

SLOW = """\
pipeline: slow
sources: {raw: {type: csv, path: rows.csv}}
transforms:
  busy: {sql: "select sum(hash(a.n, b.n, c.n) % 7)::double as total from raw a cross join raw b cross join raw c"}
sinks:
  first: {from: raw, type: csv, path: out/first.csv, mode: overwrite}
  out: {from: busy, type: sqlite, path: out/busy.db, table: busy, mode: overwrite}
run: {threads: 1, memory: 512 MiB, grace: 1 s}
"""


def slow(folder: Path) -> None:
    """``slow.yml``: a run whose pass takes longer than anybody waits."""
    (folder / "slow.yml").write_text(SLOW, encoding="utf-8")
    (folder / "rows.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(20_000)), encoding="utf-8")


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout, and nothing else there."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        assert self.out.count("\n") == 1
        return found

    @property
    def codes(self) -> list[str]:
        return [problem["code"] for problem in self.json["problems"]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one pipeline, which is the current folder."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "penstock.yml").write_text("project: small\n", encoding="utf-8")
    (tmp_path / "pipelines" / "days.yml").write_text(DOCUMENT, encoding="utf-8")
    (tmp_path / "data" / "days.csv").write_text(DATA, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("PENSTOCK_ENV", "PENSTOCK_DEBUG", "PENSTOCK_KEY", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def penstock(project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """``penstock("run", "pipelines/days.yml")`` in the project's folder."""

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        code = execute([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return Said(code, said.out, said.err)

    return call
