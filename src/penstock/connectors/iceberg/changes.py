"""What one try of a commit does to the table, by mode: which files come, which go, and the receipt that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.api import Receipt, WriteMode
from penstock.connectors.iceberg.files import collect, null_in, sizes, write
from penstock.connectors.iceberg.schema import field_ids
from penstock.connectors.iceberg.staging import ROWS
from penstock.connectors.lake.duck import duck
from penstock.connectors.lake.merge import INSERTED, OLDER, UNCHANGED, UPDATED, Merge, merge
from penstock.connectors.lake.relations import all_of, staged_rows, table_rows
from penstock.structs import Frozen, Mutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pyiceberg.manifest import DataFile as Entry
    from sqlglot import exp

    from penstock.connectors.api import Context
    from penstock.connectors.iceberg.files import Layout
    from penstock.connectors.iceberg.params import IcebergSinkParams
    from penstock.connectors.iceberg.staging import Attempt
    from penstock.connectors.iceberg.table import Snapshot
    from penstock.connectors.iceberg.writer import Part
    from penstock.connectors.lake.duck import Duck
    from penstock.types import Schema


class Change(Frozen):
    """Which files one commit adds and removes, and in which subfolders of the attempts those lie that it adds."""

    receipt: Receipt
    adds: tuple[Entry, ...] = ()
    removes: tuple[Entry, ...] = ()
    kept: tuple[str, ...] = ()


class Try(Mutable):
    """One try to commit what is held in ``staged``, against exactly this snapshot of the table.

    ``rows`` are the columns that came; ``rewrites``: every row that stays is written anew in the target's types.
    """

    params: IcebergSinkParams
    context: Context
    staged: Sequence[tuple[Attempt, Part]]
    table: Snapshot | None
    rows: Schema
    layout: Layout
    number: int
    rewrites: bool
    _kept: list[str] = field(default_factory=list)

    def compute(self) -> Change:
        """The change, its files durable, and the receipt without a version.

        Raises DataError SNK-252 to SNK-254, SRC-110, TransientError SNK-257, OSError.
        """
        if not self.staged:
            removes = self._live() if self.params.mode is WriteMode.OVERWRITE else ()
            deleted = _rows_of(removes) if removes or self.params.mode is WriteMode.OVERWRITE else None
            return self._ended(Change(Receipt(0, 0, deleted=deleted), removes=removes))
        with duck(self._home.place.room(self._home.root), self.context.allowance) as own:
            change = self._merged(own) if self.params.mode is WriteMode.MERGE else self._delivered(own)
            if self.rewrites and self.table is not None:
                change = self._rewritten(own, self.table, change)
        return self._ended(change)

    def _ended(self, change: Change) -> Change:
        self.context.reached("iceberg.computed")
        receipt = replace(change.receipt, bytes=sizes(change.adds))
        return replace(change, receipt=receipt, kept=tuple(dict.fromkeys(self._kept)))

    @property
    def _home(self) -> Attempt:
        """Where files lie that the commit writes itself."""
        return self.staged[0][0]

    def _live(self) -> tuple[Entry, ...]:
        return () if self.table is None else tuple(self.table.entries.values())

    @property
    def _never_null(self) -> list[str]:
        """The columns in whose rows a null is refused. In a merge those that did not come have the table's values."""
        wanted = self.rows if self.params.mode is WriteMode.MERGE else self.layout.target
        return [name for name in wanted.names if not self.layout.target[name].nullable]

    # ------------------------------------------------------------ rows that came

    def _paths(self) -> list[Path]:
        return [path for attempt, _ in self.staged for path in attempt.rows()]

    def _delivered(self, own: Duck) -> Change:
        adds = self._as_they_are(own) if self._are_the_tables() else self._converted(own)
        count = sum(entry.record_count for entry in adds)
        change = Change(Receipt(count, count), tuple(adds))
        if self.params.mode is WriteMode.APPEND:
            return change
        removes = self._live()
        if self.params.mode is WriteMode.OVERWRITE_PARTITIONS:
            came = {entry.partition for entry in adds}
            removes = tuple(entry for entry in removes if entry.partition in came)
        return replace(change, receipt=replace(change.receipt, deleted=_rows_of(removes)), removes=removes)

    def _are_the_tables(self) -> bool:
        """Whether the engine's files can be named by the table as they are."""
        ids = field_ids(self.layout.fields, self.rows.names)
        return not self.layout.divisions and all(part.ids == ids for _, part in self.staged)

    def _as_they_are(self, own: Duck) -> list[Entry]:
        self._kept.append(ROWS)
        found: list[Entry] = []
        for attempt, _ in self.staged:
            attempt.rows()
            found += collect(attempt, own, attempt.folder / ROWS, self.layout, self._never_null)
        return found

    def _converted(self, own: Duck) -> list[Entry]:
        query = staged_rows(own, self._paths(), self.rows, self.layout.target)
        return self._written(own, query, self.rows.names, f"converted-{self.number}")

    def _written(self, own: Duck, query: exp.Query, columns: Iterable[str], source: str) -> list[Entry]:
        self._kept.append(source)
        folder = self._home.fresh(source)
        write(own, query, columns, folder, self.layout)
        entries = collect(self._home, own, folder, self.layout, self._never_null)
        self._home.take(self._home.place.path_of(entry.file_path) for entry in entries)
        return entries

    # ------------------------------------------------------------ copy on write

    def _merged(self, own: Duck) -> Change:
        source = f"merged-{self.number}"
        adds: list[Entry] = []

        def written(query: exp.Query) -> None:
            adds.extend(self._written(own, query, self.layout.target.names, source))

        divided = tuple(part.column for part in self.layout.divisions if part.transform == "identity")
        known = self.table.partition_by if self.table is not None else ()
        divided = tuple(name for name in divided if name in known)
        work = Merge(tuple(self.params.keys), self.params.order_by, self.rows, self.layout.target, divided, written)
        merged = merge(own, work, self._paths(), self.table)
        counts = merged.counts
        if counts.get(INSERTED):
            self._check_unsent()
        receipt = Receipt(
            rows=sum(counts.values()),
            inserted=counts.get(INSERTED, 0),
            updated=counts.get(UPDATED, 0),
            unchanged=counts.get(UNCHANGED, 0),
            ignored_older=counts.get(OLDER, 0),
        )
        entries = self.table.entries if self.table is not None else {}
        return Change(receipt, tuple(adds), tuple(entries[file.path] for file in merged.replaced))

    def _check_unsent(self) -> None:
        """A column that did not come is null in a new row. Raises DataError SNK-253."""
        for column in self.layout.target:
            if not column.nullable and column.name not in self.rows:
                raise null_in(column.name)

    def _rewritten(self, own: Duck, table: Snapshot, change: Change) -> Change:
        """With every file that would stay written anew in the target's types."""
        going = {entry.file_path for entry in change.removes}
        rest = [file for file in table.files if table.entries[file.path].file_path not in going]
        if not rest:
            return change
        rows = all_of(table_rows(own, table, rest, self.layout.target, alias="t"))
        adds = self._written(own, rows, self.layout.target.names, f"rewritten-{self.number}")
        removes = (*change.removes, *(table.entries[file.path] for file in rest))
        return replace(change, adds=(*change.adds, *adds), removes=removes)


def _rows_of(entries: Iterable[Entry]) -> int:
    return sum(entry.record_count for entry in entries)
