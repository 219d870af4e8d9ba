"""DuckDB files that a process dies over, that another one holds, and that are not what they should be."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pytest
from crashes import Reaper, die, rows_of, run_epochs

from penstock.clock import SystemClock
from penstock.connectors.api import Context, Partition, ScanRequest
from penstock.connectors.duckdb.descriptors import SINK, SOURCE
from penstock.connectors.duckdb.sink import CRASH_POINTS
from penstock.errors import ConfigError, FatalError, PenstockError, TransientError
from penstock.testing.delivery import pull
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import SINK_ID
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.connectors.api import Sink, Source

EPOCHS = 3
COMMITTED = CRASH_POINTS.index("duckdb.committed")
TABLE = rows((1, "a"), (2, None))
HEADERS = 3 * 4096  # of the file
HOLDER = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@dataclass(frozen=True)
class Make:
    folder: Path
    mode: str = "append"
    table: str = "rows"

    def __call__(self, reached: Callable[[str], None] = lambda _: None) -> Sink:
        keys = ["id"] if self.mode == "merge" else []
        given = {"path": "x.duckdb", "table": self.table, "mode": self.mode, "keys": keys, "lock_wait": "20 ms"}
        (self.folder / "scratch").mkdir(exist_ok=True)
        context = Context("out", self.folder.joinpath, self.folder / "scratch", SystemClock(), reached=reached)
        return SINK.make(SINK.params.model_validate({"type": "duckdb", "from": "rows", **given}), context)


def visible(folder: Path) -> Counter[tuple[int, int]]:
    with closing(duckdb.connect(folder / "x.duckdb", read_only=True)) as connection:
        return Counter(connection.execute("SELECT id, epoch FROM rows").fetchall())


def expected(mode: str, upto: int) -> Counter[tuple[int, int]]:
    first = upto if mode == "overwrite" else 1
    return Counter((row["id"], row["epoch"]) for n in range(first, upto + 1) for row in rows_of(n).to_pylist())


@pytest.mark.parametrize("death", ["raise", "kill"])
@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_crash_at_any_boundary_loses_and_doubles_nothing(tmp_path: Path, point: str, mode: str, death: str) -> None:
    make = Make(tmp_path, mode)
    assert die(make, EPOCHS, Reaper(point, death)), f"the run never passed {point}"
    done = 2 if CRASH_POINTS.index(point) >= COMMITTED else 1
    assert visible(tmp_path) == expected(mode, done)
    run_epochs(make, EPOCHS, fence=2, reaper=Reaper("", "raise"))
    assert visible(tmp_path) == expected(mode, EPOCHS)
    assert not list((tmp_path / "scratch").iterdir())


def test_no_boundary_is_passed_that_the_list_lacks(tmp_path: Path) -> None:
    passed: set[str] = set()

    def make(_: Callable[[str], None]) -> Sink:
        return Make(tmp_path, "merge")(passed.add)

    run_epochs(make, EPOCHS, fence=1, reaper=Reaper("", "raise"))
    assert passed == set(CRASH_POINTS)


# ---------------------------------------------------------------- held by others


@contextmanager
def held(path: Path) -> Iterator[int]:
    """By another process, whose id is given."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield holder.pid
        holder.kill()


def source(folder: Path, path: str = "x.duckdb", table: str = "rows") -> Source:
    given = {"type": "duckdb", "path": path, "table": table, "lock_wait": "20 ms"}
    return SOURCE.make(SOURCE.params.model_validate(given), Context("in", folder.joinpath, folder, SystemClock()))


def refusal(act: Callable[[], object]) -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        act()
    return caught.value


def test_a_file_that_another_process_holds_is_named_with_who_holds_it(tmp_path: Path) -> None:
    deliver(Make(tmp_path)(), epoch(1), TABLE)
    with held(tmp_path / "x.duckdb") as pid:
        for act, code in (
            (lambda: deliver(Make(tmp_path)(), epoch(2), TABLE), "SNK-321"),
            (lambda: Make(tmp_path)().marker(SINK_ID), "SNK-321"),
            (source(tmp_path).describe, "SRC-331"),
        ):
            error = refusal(act)
            assert (type(error), error.code) == (TransientError, code)
            assert f"PID {pid}" in str(error.problems[0].detail)
            assert "x.duckdb" in str(error)
    deliver(Make(tmp_path)(), epoch(2), TABLE)


class Waiting(SystemClock):
    """A clock by whose first wait the other process has let go."""

    def __init__(self, let_go: Callable[[], None]) -> None:
        self._let_go = let_go

    def sleep(self, seconds: float) -> None:  # noqa: ARG002 -- it takes as long as letting go does
        self._let_go()


def test_a_file_that_is_let_go_in_time_is_waited_for(tmp_path: Path) -> None:
    deliver(Make(tmp_path)(), epoch(1), TABLE)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "x.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        def let_go() -> None:
            holder.kill()
            holder.wait()

        given = SOURCE.params.model_validate({"type": "duckdb", "path": "x.duckdb", "table": "rows"})
        waiting = SOURCE.make(given, Context("in", tmp_path.joinpath, tmp_path, Waiting(let_go)))
        assert waiting.describe().names == ("id", "name")


def test_a_table_is_read_while_a_sink_of_the_run_commits_to_the_file(tmp_path: Path) -> None:
    """What is read is the file as it stood when the read began."""
    deliver(Make(tmp_path)(), epoch(1), TABLE)
    table = Make(tmp_path)().table()
    chunks = table.scan(ScanRequest(Partition(), None, table.latest(Partition()))).open()  # type: ignore[union-attr]
    first = next(chunks)
    deliver(Make(tmp_path)(), epoch(2), TABLE)
    assert first.batch.num_rows + sum(chunk.batch.num_rows for chunk in chunks) == 2
    assert sum(visible_ids(tmp_path).values()) == 4


def visible_ids(folder: Path) -> Counter[int]:
    with closing(duckdb.connect(folder / "x.duckdb", read_only=True)) as connection:
        return Counter(row[0] for row in connection.execute("SELECT id FROM rows").fetchall())


# ---------------------------------------------------------------- files that are not what they should be


def checksum(block: bytes) -> int:
    """DuckDB's, of a block of its own."""
    found = 5381
    for (word,) in struct.iter_unpack("<Q", block):
        found ^= word * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    return found


def of_a_newer_duckdb(content: bytes) -> bytes:
    head = bytearray(content[:4096])
    struct.pack_into("<Q", head, 12, 1_500)
    struct.pack_into("<Q", head, 0, checksum(head[8:]))
    return bytes(head) + content[4096:]


@pytest.mark.parametrize(
    ("spoil", "kind", "codes"),
    [
        (lambda _: b"", FatalError, ("SNK-322", "SRC-332")),
        (lambda _: b"no database at all" * 500, FatalError, ("SNK-322", "SRC-332")),
        (lambda content: content[:HEADERS], FatalError, ("SNK-322", "SRC-332")),
        (lambda content: content[:HEADERS] + bytes(len(content) - HEADERS), FatalError, ("SNK-322", "SRC-332")),
        (of_a_newer_duckdb, ConfigError, ("SNK-327", "SRC-335")),
    ],
    ids=["empty", "other", "cut", "damaged", "newer"],
)
def test_a_file_that_cannot_be_opened_as_a_database_is_named(
    tmp_path: Path, spoil: Callable[[bytes], bytes], kind: type[PenstockError], codes: tuple[str, str]
) -> None:
    deliver(Make(tmp_path)(), epoch(1), TABLE)
    path = tmp_path / "x.duckdb"
    spoilt = spoil(path.read_bytes())
    path.write_bytes(spoilt)
    for act, code in zip(
        (lambda: Make(tmp_path)().prepare(from_arrow(TABLE.schema)), source(tmp_path).describe), codes, strict=True
    ):
        error = refusal(act)
        assert (type(error), error.code) == (kind, code), error
        assert "x.duckdb" in str(error)
    assert path.read_bytes() == spoilt


def test_a_write_ahead_log_that_is_cut_off_is_an_error_or_whole_epochs(tmp_path: Path) -> None:
    """What a power cut may leave: never a part of an epoch, and never a traceback."""
    path = tmp_path / "x.duckdb"
    deliver(Make(tmp_path)(), epoch(1), TABLE)
    whole = path.read_bytes()
    with closing(duckdb.connect(path, config={"checkpoint_threshold": "1 GiB"})) as connection:
        connection.execute("SET debug_checkpoint_abort = 'none'; PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("BEGIN; INSERT INTO rows SELECT range, 'x' FROM range(5000); COMMIT")
    log = tmp_path / "x.duckdb.wal"
    logged = log.read_bytes()
    for share in (1, 2, 3):
        path.write_bytes(whole)
        log.write_bytes(logged[: len(logged) * share // 4])
        try:
            source(tmp_path).describe()
            found, _ = pull(source(tmp_path).scan(ScanRequest(Partition(), None, {"v": 1})))
        except FatalError as error:
            assert error.code == "SRC-332"  # noqa: PT017 -- saying so is as good
        else:
            assert found.num_rows in (2, 5002)


def test_a_new_file_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """What a killed process has left of one is made anew."""
    (tmp_path / "x.duckdb.penstock-new").write_bytes(b"half of a fi")
    deliver(Make(tmp_path)(), epoch(1), TABLE)
    assert not (tmp_path / "x.duckdb.penstock-new").exists()


@pytest.mark.parametrize("path", ["folder", "file/x.duckdb"])
def test_a_place_where_no_file_can_be_is_named(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    given = {"type": "duckdb", "from": "rows", "path": path, "table": "t"}
    sink = SINK.make(SINK.params.model_validate(given), Context("out", tmp_path.joinpath, tmp_path, SystemClock()))
    error = refusal(lambda: sink.prepare(from_arrow(TABLE.schema)))
    assert (type(error), error.code) == (ConfigError, "SNK-320")
    assert refusal(source(tmp_path, path).describe).code == "SRC-330"
