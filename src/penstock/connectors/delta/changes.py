"""What one try of a commit does to the table, by mode: which files come, which go, and the receipt that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.api import Receipt, WriteMode
from penstock.connectors.delta.commit import Change
from penstock.connectors.delta.layout import partition_text
from penstock.connectors.delta.writer import collect, null_in
from penstock.connectors.lake.duck import copy, duck
from penstock.connectors.lake.merge import INSERTED, OLDER, UNCHANGED, UPDATED, Merge, merge
from penstock.connectors.lake.relations import all_of, table_rows
from penstock.structs import Mutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlglot import exp

    from penstock.connectors.api import Context, Epoch
    from penstock.connectors.delta.params import DeltaSinkParams
    from penstock.connectors.delta.staging import Attempt, NewFile
    from penstock.connectors.delta.table import Snapshot
    from penstock.connectors.delta.writer import Part, Shape
    from penstock.connectors.lake.duck import Duck
    from penstock.connectors.lake.tables import DataFile


class Try(Mutable):
    """One try to commit what is held in ``staged``, against exactly this version of the table.

    On an error nothing is undone, since it may be unclear whether the log names the files: their notes stay, and
    whoever cleans up compares them with the log.
    """

    params: DeltaSinkParams
    context: Context
    epoch: Epoch
    staged: Sequence[tuple[Attempt, Part]]
    table: Snapshot | None
    shape: Shape
    number: int
    _own: list[tuple[Attempt, str]] = field(default_factory=list)

    def compute(self, *, widens: bool) -> tuple[Change, Receipt]:
        """The change, its files placed, and the receipt without a version.

        Raises DataError SNK-253, SNK-254, SRC-110, FatalError SNK-258, TransientError SNK-257, OSError.
        """
        change, receipt = self._merged() if self.params.mode is WriteMode.MERGE else self._delivered()
        if widens and self.table is not None and self.staged:
            change = self._widened(self.table, change)
        return change, replace(receipt, bytes=sum(file.size for file in change.adds))

    def undo(self) -> None:
        """Remove the files that this try wrote: another writer was first, so no log names them. Raises OSError."""
        for attempt, source in self._own:
            attempt.unplace(source)

    def _change(self, files: Sequence[NewFile], placed: Sequence[str]) -> Change:
        return Change(self.shape.target, self.shape.partition_by, adds=tuple(files), placed=tuple(placed))

    # ------------------------------------------------------------ the engine's files

    def _delivered(self) -> tuple[Change, Receipt]:
        self.context.reached("delta.computed")
        files: list[NewFile] = []
        for attempt, part in self.staged:
            files += attempt.place_files(part.files, self.epoch, source=part.source)
        change = self._change(files, [attempt.note_of(part.source) for attempt, part in self.staged])
        rows = sum(file.rows for file in files)
        receipt = Receipt(rows=rows, inserted=rows)
        if self.params.mode is WriteMode.APPEND:
            return change, receipt
        live = () if self.table is None else self.table.files
        if self.params.mode is WriteMode.OVERWRITE:
            return replace(change, removes=live, whole=True), replace(receipt, deleted=_rows_of(live))
        came = {tuple(file.partition[name] for name in self.shape.partition_by) for file in files}
        replaced = tuple(file for file in live if self._partition(file) in came)
        return replace(change, removes=replaced), replace(receipt, deleted=_rows_of(replaced))

    def _partition(self, file: DataFile) -> tuple[str | None, ...]:
        """The values of a live file's partition as the log of a new file would spell them."""
        return tuple(partition_text(file.partition[name]) for name in self.shape.partition_by)

    # ------------------------------------------------------------ files that the commit writes

    def _merged(self) -> tuple[Change, Receipt]:
        if not self.staged:
            return self._change((), ()), Receipt(rows=0, inserted=0)
        source = f"merged-{self.number}"
        home, folder = self._fresh(source)
        paths = [path for attempt, part in self.staged for path in attempt.rows(part.files, part.source)]
        with duck(home.root, self.context.allowance) as own:
            merged = merge(own, self._work(own, folder), paths, self.table)
            counts = merged.counts
            if counts.get(INSERTED):
                self._check_unsent()
            files = self._written(own, home, source)
        change = replace(self._change(files, [home.note_of(source)]), removes=merged.replaced)
        receipt = Receipt(
            rows=sum(counts.values()),
            inserted=counts.get(INSERTED, 0),
            updated=counts.get(UPDATED, 0),
            unchanged=counts.get(UNCHANGED, 0),
            ignored_older=counts.get(OLDER, 0),
        )
        return change, receipt

    def _work(self, own: Duck, folder: Path) -> Merge:
        params, shape = self.params, self.shape

        def write(query: exp.Query) -> None:
            own.run(copy(query, folder, shape.form, shape.partition_by))

        return Merge(tuple(params.keys), params.order_by, shape.rows, shape.target, shape.partition_by, write)

    def _check_unsent(self) -> None:
        """A column that did not come is null in a new row. Raises DataError SNK-253."""
        for column in self.shape.target:
            if not column.nullable and column.name not in self.shape.rows:
                raise null_in(column.name)

    def _widened(self, table: Snapshot, change: Change) -> Change:
        """Every file that would stay is rewritten in the wider types, so that all files have the table's."""
        shape = self.shape
        going = {file.path for file in change.removes}
        rest = [file for file in table.files if file.path not in going]
        if not rest:
            return replace(change, whole=True)
        source = f"widened-{self.number}"
        home, folder = self._fresh(source)
        with duck(home.root, self.context.allowance) as own:
            rows = table_rows(own, table, rest, shape.target, alias="t")
            own.run(copy(all_of(rows), folder, shape.form, shape.partition_by))
            files = self._written(own, home, source)
        return replace(change, adds=(*change.adds, *files), placed=(*change.placed, home.note_of(source)), whole=True)

    def _fresh(self, source: str) -> tuple[Attempt, Path]:
        """A present, empty subfolder of the first attempt."""
        home = self.staged[0][0]
        return home, home.fresh(source)

    def _written(self, own: Duck, home: Attempt, source: str) -> list[NewFile]:
        files = collect(own, home.folder / source, self.shape.target, self.shape.partition_by)
        self.context.reached("delta.computed")
        self._own.append((home, source))
        return home.place_files(files, self.epoch, source=source)


def _rows_of(files: Sequence[DataFile]) -> int | None:
    """How many rows they have; None where the log does not say of each."""
    counts = [file.rows for file in files]
    return None if any(count is None for count in counts) else sum(count for count in counts if count is not None)
