"""ORC files as a source: types, several files, and what a broken file does."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyorc
import pytest
from file_sources import PART, columns, rows, source
from pyarrow import orc

from penstock.connectors.api import Batches, ScanRequest
from penstock.connectors.files import orc_reading
from penstock.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.api import Source

pytestmark = pytest.mark.slow

ORC = "{type: orc, path: a.orc}"


def made(folder: Path, table: pa.Table, **options: Any) -> Source:
    orc.write_table(table, str(folder / "a.orc"), **options)
    return source(folder, ORC)


def by_pyorc(folder: Path, schema: str, *lines: tuple[Any, ...]) -> Source:
    with (folder / "a.orc").open("wb") as stream, pyorc.Writer(stream, schema) as writer:
        writer.writerows(lines)
    return source(folder, ORC)


def refused(act: Callable[[], object]) -> DataError:
    with pytest.raises(DataError, match=r"a\.orc") as caught:
        act()
    return caught.value


def test_types_of_another_writer_are_columns(tmp_path: Path) -> None:
    kinds = "a:tinyint,b:char(3),c:varchar(9),d:decimal(9,2),e:timestamp,f:timestamp with local time zone,g:date"
    found = by_pyorc(tmp_path, f"struct<{kinds}>", (-128, "ab", "cd", Decimal("1.5"), None, None, None))
    assert columns(found) == {
        "a": "int8",
        "b": "string",
        "c": "string",
        "d": "decimal(9,2)",
        "e": "timestamp",
        "f": "timestamptz",
        "g": "date",
    }


def test_moments_are_cut_to_the_microsecond_wherever_they_stand(tmp_path: Path) -> None:
    ns = pa.array([1_001, -1, None], pa.timestamp("ns"))
    table = pa.table(
        {
            "wall": ns,
            "at": ns.cast(pa.timestamp("ns", "UTC")),
            "inside": pa.array(
                [[{"t": 1_001}], [{"t": -1}, None], None], pa.list_(pa.struct([("t", pa.timestamp("ns"))]))
            ),
            "mapped": pa.array([[("k", -1_001)], [], None], pa.map_(pa.string(), pa.timestamp("ns"))),
        }
    )
    first, before = datetime(1970, 1, 1, 0, 0, 0, 1), datetime(1969, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001
    second = datetime(1969, 12, 31, 23, 59, 59, 999_998)  # noqa: DTZ001
    assert rows(made(tmp_path, table)) == [
        {"wall": first, "at": first.replace(tzinfo=UTC), "inside": [{"t": first}], "mapped": [("k", second)]},
        {"wall": before, "at": before.replace(tzinfo=UTC), "inside": [{"t": before}, None], "mapped": []},
        {"wall": None, "at": None, "inside": None, "mapped": None},
    ]


def test_only_the_columns_asked_for_are_read(tmp_path: Path) -> None:
    late = pa.array([datetime(9999, 1, 1)], pa.timestamp("us"))  # noqa: DTZ001
    found = made(tmp_path, pa.table({"id": [1], "until": late, "a.b": [2]}))
    assert rows(found, "a.b", "id") == [{"a.b": 2, "id": 1}]
    error = refused(lambda: rows(found, "until"))
    assert error.code == "SRC-321"
    assert "out of range" in str(error.problems[0].detail)


def test_files_with_other_columns_are_read_side_by_side(tmp_path: Path) -> None:
    orc.write_table(pa.table({"id": pa.array([1], pa.int16()), "a": ["x"]}), str(tmp_path / "1.orc"))
    orc.write_table(pa.table({"b": [0.5], "id": pa.array([2], pa.int64())}), str(tmp_path / "2.orc"))
    found = source(tmp_path, "{type: orc, path: '*.orc', differing_columns: union}")
    assert columns(found) == {"id": "int64", "a": "string", "b": "float64"}
    assert rows(found) == [{"id": 1, "a": "x", "b": None}, {"id": 2, "a": None, "b": 0.5}]
    assert rows(found, "a") == [{"a": "x"}, {"a": None}]


def test_a_large_stripe_comes_in_small_batches(tmp_path: Path) -> None:
    found = made(tmp_path, pa.table({"n": pa.array(range(200_000))}))
    scanned = found.scan(ScanRequest(PART, None, found.latest(PART)))
    assert isinstance(scanned, Batches)
    sizes = [chunk.batch.num_rows for chunk in scanned.open()]
    assert sum(sizes) == 200_000
    assert max(sizes) <= 65_536


@pytest.mark.parametrize("content", [b"", b"ORC", b"PAR1 and more of it PAR1", bytes(5_000)])
def test_a_file_that_is_no_orc_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.orc").write_bytes(content)
    assert refused(source(tmp_path, ORC).describe).code == "SRC-320"


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    made(tmp_path, pa.table({"n": pa.array(range(3_000))}), compression="zlib")
    whole = (tmp_path / "a.orc").read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 3)):
        (tmp_path / "a.orc").write_bytes(whole[:size])
        assert refused(source(tmp_path, ORC).describe).code == "SRC-320"


def test_a_broken_stripe_is_an_error_and_no_rows(tmp_path: Path) -> None:
    found = made(tmp_path, pa.table({"s": [f"row {n}" for n in range(3_000)]}), compression="zlib")
    content = bytearray((tmp_path / "a.orc").read_bytes())
    content[200:260] = bytes(60)
    (tmp_path / "a.orc").write_bytes(content)
    found = source(tmp_path, ORC)
    assert refused(lambda: rows(found)).code == "SRC-321"


def test_a_union_has_no_type(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        by_pyorc(tmp_path, "struct<u:uniontype<int,string>>", (1,)).describe()
    assert caught.value.code == "DOC-406"
    assert '"u"' in str(caught.value)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(tmp_path, pa.table({"n": [1]}))
    upto = found.latest(PART)
    scanned = found.scan(ScanRequest(PART, None, upto))
    assert isinstance(scanned, Batches)
    (tmp_path / "a.orc").unlink()
    with pytest.raises(ConfigError) as caught:
        list(scanned.open())
    assert caught.value.code == "SRC-132"


# ---------------------------------------------------------------- the process that reads


def test_a_reader_that_crashes_ends_nothing_but_the_epoch(tmp_path: Path) -> None:
    found = made(tmp_path, pa.table({"n": pa.array(range(2_000_000))}), compression="uncompressed")
    scanned = found.scan(ScanRequest(PART, None, found.latest(PART)))
    assert isinstance(scanned, Batches)
    chunks = scanned.open()
    next(chunks)
    (child,) = readers()
    os.kill(child, signal.SIGSEGV)
    error = refused(lambda: list(chunks))
    assert error.code == "SRC-321"
    assert "SIGSEGV" in str(error.problems[0].detail)
    assert readers() == []


def test_a_read_that_is_given_up_leaves_no_process(tmp_path: Path) -> None:
    found = made(tmp_path, pa.table({"n": pa.array(range(2_000_000))}), compression="uncompressed")
    scanned = found.scan(ScanRequest(PART, None, found.latest(PART)))
    assert isinstance(scanned, Batches)
    chunks = scanned.open()
    next(chunks)
    assert len(readers()) == 1
    chunks.close()  # type: ignore[attr-defined]
    assert readers() == []


def test_the_reader_ends_with_who_asked(tmp_path: Path) -> None:
    """Also where nobody takes its rows any more, and nobody told it to end."""
    made(tmp_path, pa.table({"n": pa.array(range(2_000_000))}), compression="uncompressed")
    found = source(tmp_path, ORC)
    files = found._listing.files()  # type: ignore[attr-defined]
    with orc_reading._child(files, ("n",)) as child:
        assert child.process.stdin is not None
        child.process.stdin.close()
        assert child.process.wait(timeout=60) == 3


def readers() -> list[int]:
    """Processes that read ORC files for this one."""
    with open(f"/proc/self/task/{os.getpid()}/children") as children:  # noqa: PTH123 -- no file of a disk
        pids = [int(pid) for pid in children.read().split()]
    found = []
    for pid in pids:
        with open(f"/proc/{pid}/cmdline") as line:  # noqa: PTH123
            if "orc_child" in line.read():
                found.append(pid)
    return found
