"""Whole runs on a machine that runs out of something: a named error, a consistent state, and the next run goes on."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.orc
import pytest
from crashes import children
from epochs import System, completed, once
from systems import (
    DELTA,
    DUCKDB,
    FILES,
    ICEBERG,
    SQLITE,
    check,
    read_delta,
    read_duckdb,
    read_files,
    read_iceberg,
    read_sqlite,
    sealed,
)

from penstock.document.assembly import Settings
from penstock.errors import FatalError, PenstockError
from penstock.errors.shortages import shortage_of, shortages_named
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus
from penstock.service.request import Request
from penstock.service.running import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

pytestmark = pytest.mark.slow

Shortage = Literal["files", "memory", "device"]
LONG = pytest.mark.long
READ = {
    FILES.name: read_files,
    SQLITE.name: read_sqlite,
    DUCKDB.name: read_duckdb,
    DELTA.name: read_delta,
    ICEBERG.name: read_iceberg,
}


def starve(shortage: Shortage, level: int) -> None:
    """From now on this process may open so many files, take so many more bytes, or its n-th sync fails."""
    match shortage:
        case "files":
            resource.setrlimit(resource.RLIMIT_NOFILE, (level, level))
        case "memory":
            with open("/proc/self/statm", encoding="ascii") as sizes:  # noqa: PTH123 -- no file of a disk
                taken = int(sizes.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + level, taken + level))
        case "device":
            real, left = os.fsync, iter(range(level))

            def fsync(file: Any) -> None:
                if next(left, None) == level - 1:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                real(file)

            os.fsync = fsync


def starved(system: System, file: Path, shortage: Shortage, level: int, told: Connection) -> None:
    """In a process of its own: its status and its codes; our own bugs are told by their class."""
    starve(shortage, level)
    try:
        result = once(system, file, Faults())
        told.send((result.status.value, [problem.code for problem in result.problems]))
    except PenstockError as error:
        told.send(("raised", [problem.code for problem in error.problems]))
    except BaseException as error:  # noqa: BLE001 -- what must not be
        told.send(("escaped", [repr(error)]))
    os._exit(0)


def ended(system: System, file: Path, shortage: Shortage, level: int) -> tuple[str, list[str]]:
    here, there = multiprocessing.Pipe(duplex=False)
    child = children().start(starved, system, file, shortage, level, there)
    there.close()
    try:
        told = here.recv()
    except EOFError:  # the engine ends a process that gets neither memory nor files
        told = ("died", [])
    child.join(60)
    status, codes = told
    return str(status), list(codes)


CASES = [
    *(pytest.param(SQLITE, "files", level) for level in (14, 18)),
    *(pytest.param(FILES, "device", level) for level in (1, 4)),
    pytest.param(FILES, "memory", 20_000_000),
    *(
        pytest.param(system, "files", level, marks=LONG)
        for system in (FILES, SQLITE, DUCKDB, DELTA, ICEBERG)
        for level in range(10, 34, 2)
    ),
    *(
        pytest.param(system, "device", level, marks=LONG)
        for system in (FILES, SQLITE, DUCKDB, DELTA, ICEBERG)
        for level in range(1, 14)
    ),
    *(
        pytest.param(system, "memory", level, marks=LONG)
        for system in (FILES, SQLITE, DUCKDB)
        for level in (1_000_000, 20_000_000, 60_000_000, 100_000_000, 200_000_000)
    ),
]


@pytest.mark.parametrize(("system", "shortage", "level"), CASES)
def test_a_run_that_is_short_of_something_says_so_and_the_next_one_makes_up_for_it(
    system: System, shortage: Shortage, level: int, tmp_path: Path
) -> None:
    folder = tmp_path / "p"
    file = system.project(folder)
    status, codes = ended(system, file, shortage, level)
    assert status in {"failed", "raised", "done", "died"}, codes
    assert not [code for code in codes if code.startswith("INT-")]
    assert not {"SNK-120", "LED-111"} & set(codes)  # nobody took anything over
    done = sealed(folder)
    assert (status == "done") <= (done == 1)
    completed(system, file)
    check(folder, READ[system.name], epochs=1 + (status == "done"))


def test_a_first_shortage_is_one(tmp_path: Path) -> None:
    """The cases above bite."""
    file = SQLITE.project(tmp_path / "p")
    assert ended(SQLITE, file, "files", 14) == ("failed", ["RUN-160"])
    assert ended(SQLITE, file, "device", 1)[1] == ["LED-103"]


# ---------------------------------------------------------------- what is named how


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.EMFILE, "too many", "/a"), "RUN-160"),
        (OSError(errno.ENFILE, "too many"), "RUN-160"),
        (OSError(errno.ENOSPC, "no space", "/a"), "RUN-161"),
        (OSError(errno.EDQUOT, "quota"), "RUN-161"),
        (OSError(errno.EFBIG, "too large"), "RUN-161"),
        (OSError(errno.EIO, "input/output", "/a"), "RUN-162"),
        (OSError(errno.ENOMEM, "no memory"), "RUN-163"),
        (MemoryError(), "RUN-163"),
        (RuntimeError("can't start new thread"), "RUN-163"),
    ],
)
def test_a_shortage_has_a_name(error: Exception, code: str) -> None:
    with pytest.raises(FatalError) as caught, shortages_named():
        raise error
    assert caught.value.code == code
    assert ("(/a)" in str(caught.value)) == (getattr(error, "filename", None) == "/a")


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "denied"), RuntimeError("a bug"), KeyError("x")])
def test_what_is_no_shortage_is_none(error: Exception) -> None:
    assert shortage_of(error) is None
    with pytest.raises(type(error)), shortages_named():
        raise error


# ---------------------------------------------------------------- a disk that is full, and has room again

SERIES = """\
pipeline: filling
sources: {raw: {type: csv, path: /tmp/rows.csv}}
sinks:
  out: {from: raw, SINK, mode: append}
run: {threads: 1, memory: 256 MiB, epoch: {rows: 2000}}
"""
SINKS = {
    "files": "type: parquet, path: out/rows",
    "sqlite": "type: sqlite, path: out/rows.db, table: rows",
    "duckdb": "type: duckdb, path: out/rows.duckdb, table: rows",
    "delta": "type: delta, path: out/rows",
}


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        check=False,
        capture_output=True,
    )
    return tried.returncode == 0


ROOM = """
set -e
mount -t tmpfs -o size=1500k tmpfs "$1/project"
cp "$1"/*.yml "$1/project"
cd "$1/project"
set +e
"$2" -m penstock run filling.yml --json > "$1/first.json" 2> "$1/first.err"
echo $? > "$1/code"
mount -o remount,size=200m "$1/project"
"$2" -m penstock run filling.yml --json > "$1/second.json" 2> "$1/second.err"
"$2" -m penstock preview filling.yml out --rows 1 --json > /dev/null 2>&1
"""


@pytest.mark.skipif(not can_mount(), reason="file systems of a size of their own cannot be mounted here")
@pytest.mark.parametrize("sink", ["sqlite", *(pytest.param(name, marks=LONG) for name in ("files", "duckdb", "delta"))])
def test_a_run_goes_on_when_a_full_disk_has_room_again(sink: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("n,text\n" + "".join(f"{n},{os.urandom(80).hex()}\n" for n in range(20_000)), encoding="utf-8")
    text = SERIES.replace("SINK", SINKS[sink]).replace("/tmp/rows.csv", "../rows.csv")
    (tmp_path / "filling.yml").write_text(text.replace("../rows.csv", str(rows)), encoding="utf-8")
    (tmp_path / "penstock.yml").write_text(
        f"project: small\nconnections: {{all: {{type: files, root: {tmp_path}}}}}\n", encoding="utf-8"
    )
    (tmp_path / "project").mkdir()
    subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", ROOM, "sh", str(tmp_path), sys.executable],
        check=True,
        timeout=200,
    )
    first, second = (json.loads((tmp_path / name).read_text("utf-8")) for name in ("first.json", "second.json"))
    codes = [problem["code"] for problem in first["problems"]]
    assert (tmp_path / "code").read_text("utf-8") in {"3\n", "4\n"}
    assert codes
    assert not [code for code in codes if code.startswith("INT-")]
    told = (tmp_path / "first.err").read_text("utf-8")
    assert "space" in told or "full" in told
    assert second["status"] == "done", second["problems"]
    assert taken(first) + taken(second) == 20_000


def taken(result: Any) -> int:
    return sum(epoch["sinks"]["out"]["rows"] for epoch in result["epochs"])


# ---------------------------------------------------------------- a child that is killed

CHILD = """\
pipeline: copy
sources: {raw: {type: orc, path: data/*.orc}}
sinks: {out: {from: raw, type: csv, path: out/rows.csv, mode: overwrite}}
run: {threads: 1, memory: 256 MiB}
"""


def test_a_reader_that_is_killed_as_for_want_of_memory_is_named_and_the_next_run_is_whole(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "copy.yml").write_text(CHILD, encoding="utf-8")
    pyarrow.orc.write_table(
        pa.table({"n": range(2_000_000)}), str(tmp_path / "data" / "a.orc"), compression="uncompressed"
    )
    request = Request(tmp_path / "copy.yml", Settings(dict(os.environ)))
    ended = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        """Whatever reads, as soon as it is there."""
        while not ended.wait(0.005):
            with suppress(ProcessLookupError, FileNotFoundError):  # of a process or a thread that has just ended
                for pid in reading():
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    killer = threading.Thread(target=kill)

    def reached(point: str) -> None:
        if point == "run.planned":
            killer.start()

    class Telling(Faults):
        def reached(self, point: str) -> None:
            reached(point)

    found = run(request, Events(level="error"), Telling())
    ended.set()
    killer.join()
    assert killed
    assert found.status is RunStatus.FAILED
    assert [problem.code for problem in found.problems] == ["SRC-321"]
    assert "SIGKILL" in str(found.problems[0].detail)
    assert not (tmp_path / "out" / "rows.csv").exists()
    assert run(request, Events(level="error"), Faults()).read == 2_000_000


def reading() -> Iterator[int]:
    """The processes that read ORC files for this one."""
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208 -- no folder of a disk
        with open(f"/proc/self/task/{task}/children", encoding="ascii") as children:  # noqa: PTH123
            pids = children.read().split()
        for pid in map(int, pids):
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8") as line:  # noqa: PTH123
                    is_reader = "orc_child" in line.read()
            except OSError:  # it is gone
                continue
            if is_reader:
                yield pid
