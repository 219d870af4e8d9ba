"""The conformance suite of sources that spool (Capability.SPOOLS): subclass :class:`SpoolingSuite` beside or together
with :class:`penstock.testing.sources.SourceSuite`, which says how rows get into the system.
"""

from __future__ import annotations

import json
import stat
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from penstock.connectors.api import Batches, ScanRequest, Spooling
from penstock.errors import DataError, PenstockError
from penstock.registry import Capability
from penstock.testing.compare import assert_same
from penstock.testing.delivery import pull
from penstock.testing.sources import ROWS, SourceConformance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.api import Partition, Position

MORE = pa.table([pa.array([6]), pa.array(["six"]), pa.array([6.0])], schema=ROWS.schema)


def _flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


# How a file may be other than it was written; None: it is gone.
DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "gone": lambda _: None,
    "empty": lambda _: b"",
    "first byte": lambda content: _flip(content, 0),
    "byte in the middle": lambda content: _flip(content, len(content) // 2),
    "last byte": lambda content: _flip(content, len(content) - 1),
    "cut short": lambda content: content[:-1],
    "half": lambda content: content[: len(content) // 2],
    "grown": lambda content: content + b"\n",
}


class SpoolingConformance(SourceConformance):
    """What a subclass provides besides."""

    @abstractmethod
    def cut_off(self) -> None:
        """From now on the system answers nothing useful, and :meth:`touched` counts whoever asks."""

    @abstractmethod
    def touched(self) -> int:
        """How often the system was asked for anything so far."""

    # -- for the tests

    @pytest.fixture(autouse=True)
    def _spool_folders(self, tmp_path: Path) -> None:
        self._spools = tmp_path / "spools"
        self._spools.mkdir()

    def new_folder(self) -> Path:
        """Present, empty and private, as a run makes it."""
        folder = self._spools / str(len(list(self._spools.iterdir())))
        folder.mkdir(mode=0o700)
        return folder

    def spooling(self) -> Spooling:
        source = self.source()
        assert isinstance(source, Spooling)
        return source

    def spool(self) -> list[tuple[Partition, Position]]:
        """Everything there is, each partition into a folder of its own; positions through JSON, as the ledger has them."""
        source = self.spooling()
        found = [(part, source.spool(part, self.new_folder())) for part in source.partitions()]
        return [(part, json.loads(json.dumps(position))) for part, position in found]

    def files(self) -> list[Path]:
        return sorted(path for path in self._spools.rglob("*") if not path.is_dir())


def _hear(counts: list[int], records: int, of: int | None) -> None:
    assert of is None or records <= of
    counts.append(records)


class SpoolingSuite(SpoolingConformance):
    """All of it. A subclass must be named ``Test…`` and set ``descriptor``."""

    def test_the_descriptor_says_so(self) -> None:
        assert Capability.SPOOLS in self.descriptor.capabilities
        self.load(ROWS)
        self.spooling()

    def test_what_was_spooled_is_scanned(self) -> None:
        self.load(ROWS)
        assert_same(self.scan(self.source(), self.spool()), self.as_read(ROWS))

    def test_a_source_without_rows_is_spooled_too(self) -> None:
        self.load(ROWS.slice(0, 0))
        found = self.scan(self.source(), self.spool())
        assert found.num_rows == 0
        assert found.column_names == ROWS.column_names

    def test_progress_counts_every_record(self) -> None:
        self.load(ROWS)
        source = self.spooling()
        heard: list[list[int]] = []
        for part in source.partitions():
            heard.append([0])
            source.spool(part, self.new_folder(), partial(_hear, heard[-1]))
        assert all(counts == sorted(counts) for counts in heard)
        assert sum(counts[-1] for counts in heard) == ROWS.num_rows

    def test_a_position_names_every_file_by_absolute_path(self) -> None:
        self.load(ROWS)
        ranges = self.spool()
        said = json.dumps([position for _, position in ranges])
        assert all("v" in position for _, position in ranges)
        assert self.files()
        assert all(json.dumps(str(path)) in said for path in self.files())

    def test_spooled_files_are_private(self) -> None:
        self.load(ROWS)
        self.spool()
        assert {stat.S_IMODE(path.lstat().st_mode) for path in self.files()} == {0o600}
        assert all(stat.S_ISREG(path.lstat().st_mode) for path in self.files())

    def test_a_scan_reads_the_files_only(self) -> None:
        self.load(ROWS)
        ranges = self.spool()
        self.cut_off()
        asked = self.touched()
        for _ in range(2):
            assert_same(self.scan(self.source(), ranges), self.as_read(ROWS))
        assert self.touched() == asked

    def test_rows_that_came_later_are_not_in_the_spool(self) -> None:
        self.load(ROWS)
        ranges = self.spool()
        self.add(MORE)
        assert_same(self.scan(self.source(), ranges), self.as_read(ROWS))

    def test_a_scan_resumes_after_any_chunk_of_a_spool(self) -> None:
        self.load(ROWS)
        for part, upto in self.spool():
            scanned = self.source().scan(ScanRequest(part, None, upto))
            assert isinstance(scanned, Batches)
            chunks = list(scanned.open())
            assert_same(pa.Table.from_batches([chunk.batch for chunk in chunks]), self.as_read(ROWS))
            for at, chunk in enumerate(chunks):
                rest, _ = pull(self.source().scan(ScanRequest(part, chunk.position, upto)))
                taken = pa.Table.from_batches([c.batch for c in chunks[: at + 1]])
                assert_same(pa.concat_tables([taken, rest]), self.as_read(ROWS))

    def test_two_spools_know_nothing_of_each_other(self) -> None:
        self.load(ROWS)
        first = self.spool()
        of_first = self.files()
        self.add(MORE)
        second = self.spool()
        both = self.as_read(pa.concat_tables([ROWS, MORE]))
        assert_same(self.scan(self.source(), second), both)
        assert_same(self.scan(self.source(), first), self.as_read(ROWS))
        for path in of_first:
            path.unlink()
        assert_same(self.scan(self.source(), second), both)

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_a_spool_that_is_not_as_it_was_written_is_refused(self, damage: str) -> None:
        self.load(ROWS)
        ranges = self.spool()
        for path in self.files():
            content = path.read_bytes()
            damaged = DAMAGES[damage](content)
            path.unlink() if damaged is None else path.write_bytes(damaged)
            with pytest.raises(DataError) as caught:
                self.scan(self.source(), ranges)
            assert caught.value.code == "SRC-110"
            path.write_bytes(content)
        assert_same(self.scan(self.source(), ranges), self.as_read(ROWS))

    def test_a_spool_of_what_is_not_there_leaves_no_file(self) -> None:
        missing = self.make_missing()
        if missing is None:
            pytest.skip("it is always there")
        assert isinstance(missing, Spooling)
        with pytest.raises(PenstockError) as caught:
            missing.spool(missing.partitions()[0], self.new_folder())
        assert caught.value.code.startswith(("SRC-", "NET-"))
        assert self.files() == []
        missing.close()
