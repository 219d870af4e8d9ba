"""A full refresh: the target's columns become those of the rows, in the commit that replaces its contents."""

from __future__ import annotations

import pyarrow as pa
import pytest

from penstock.connectors.api import WriteMode
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.sinks.conformance import SinkConformance
from penstock.testing.sinks.deliveries import OTHER_INCARNATION, OVERWRITE, deliver, epoch, rows, stage
from penstock.types.arrow import from_arrow

REFRESH = replace(OVERWRITE, refreshes=True)
OLD = rows((1, "one", "x"), (2, "two", "y"), names=(data.ID, "name", "gone"))
NEW = pa.table([pa.array([7], pa.int64()), pa.array([True]), pa.array([22], pa.int64())], [data.ID, "name", "size"])
NEXT = pa.table([pa.array([8], pa.int64()), pa.array([None], pa.bool_()), pa.array([23])], [data.ID, "name", "size"])


class Refresh(SinkConformance):
    """From OLD to NEW a column goes, one comes, one has another type."""

    def test_a_full_refresh_gives_the_target_the_columns_of_the_rows(self) -> None:
        self.needs(WriteMode.OVERWRITE)
        deliver(self.sink(OVERWRITE), epoch(1), OLD)
        receipt = deliver(self.sink(REFRESH), epoch(1, incarnation=OTHER_INCARNATION), NEW)
        assert (receipt.rows, receipt.inserted) == (1, 1)
        self.assert_holds(NEW)
        self._assert_columns("name", "size")
        deliver(self.sink(OVERWRITE), epoch(2, incarnation=OTHER_INCARNATION), NEXT)
        self.assert_holds(NEXT)

    def test_a_full_refresh_changes_nothing_before_its_commit(self) -> None:
        self.needs(WriteMode.OVERWRITE)
        deliver(self.sink(OVERWRITE), epoch(1), OLD)
        cut_off = self.sink(REFRESH)
        assert cut_off.preview(from_arrow(NEW.schema)).replaces
        cut_off.prepare(from_arrow(NEW.schema))
        stage(cut_off, epoch(1, incarnation=OTHER_INCARNATION), NEW)
        self.assert_holds(OLD)
        self._assert_columns("name", "gone")

    def test_a_full_refresh_without_a_column_drops_it(self) -> None:
        self.needs(WriteMode.OVERWRITE)
        fewer = OLD.drop_columns(["gone"])
        deliver(self.sink(OVERWRITE), epoch(1), OLD)
        deliver(self.sink(REFRESH), epoch(1, incarnation=OTHER_INCARNATION), fewer)
        self.assert_holds(fewer)
        self._assert_columns("name")

    def test_a_full_refresh_with_no_rows_still_has_their_columns(self) -> None:
        self.needs(WriteMode.OVERWRITE)
        deliver(self.sink(OVERWRITE), epoch(1), OLD)
        empty = NEW.slice(0, 0)
        deliver(self.sink(replace(REFRESH, allow_empty=True)), epoch(1, incarnation=OTHER_INCARNATION), empty)
        self.assert_holds(empty)
        self._assert_columns("name", "size")

    def test_a_full_refresh_of_the_same_columns_is_an_overwrite(self) -> None:
        self.needs(WriteMode.OVERWRITE)
        deliver(self.sink(OVERWRITE), epoch(1), OLD)
        sink = self.sink(REFRESH)
        assert not sink.preview(from_arrow(OLD.schema)).replaces
        deliver(sink, epoch(1, incarnation=OTHER_INCARNATION), OLD.slice(1))
        self.assert_holds(OLD.slice(1))

    @pytest.mark.parametrize("sealed", [0, 1])
    def test_a_run_that_a_full_refresh_has_overtaken_commits_no_more(self, sealed: int) -> None:
        """It was frozen before its commit, of an epoch of the incarnation that was."""
        self.needs(WriteMode.OVERWRITE)
        old = self.sink(OVERWRITE)
        old.prepare(from_arrow(OLD.schema))
        for number in range(sealed):
            deliver(old, epoch(number + 1), OLD)
        late = stage(old, epoch(sealed + 1), OLD)
        deliver(self.sink(REFRESH), epoch(1, fence=2, incarnation=OTHER_INCARNATION), OLD.slice(1))
        self.assert_refused_as_foreign(lambda: old.commit(epoch(sealed + 1), [late]))
        self.assert_holds(OLD.slice(1))

    def _assert_columns(self, *names: str) -> None:
        described = self.sink(OVERWRITE).describe()
        assert described is not None
        assert set(described.names) == {data.ID, *names}
