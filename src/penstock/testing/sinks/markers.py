"""Markers: once, without gaps, one runner, one history per incarnation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.api import WriteMode
from penstock.errors import FatalError
from penstock.structs import replace
from penstock.testing.sinks.conformance import SinkConformance
from penstock.testing.sinks.deliveries import INCARNATION, OTHER_INCARNATION, SINK_ID, deliver, epoch, rows, stage
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    import pyarrow as pa


class Markers(SinkConformance):
    """One commit per epoch, one runner at a time, one history per incarnation."""

    FIRST = rows((1, "one"), (2, None))
    SECOND = rows((3, ""), (4, "four"))

    def _second_state(self) -> tuple[pa.Table, ...]:
        return (self.SECOND,) if self.usual().mode is WriteMode.OVERWRITE else (self.FIRST, self.SECOND)

    def test_marker_is_none_before_the_first_commit(self) -> None:
        sink = self.sink(self.usual())
        assert sink.marker(SINK_ID) is None
        sink.prepare(from_arrow(self.FIRST.schema))
        assert sink.marker(SINK_ID) is None

    def test_marker_names_the_committed_epoch_after_a_restart(self) -> None:
        receipt = deliver(self.sink(self.usual()), epoch(1, fence=3), self.FIRST)
        marker = self.sink(self.usual()).marker(SINK_ID)
        assert marker is not None
        assert (marker.epoch, marker.fence) == (1, 3)
        assert marker.receipt in (None, receipt)
        deliver(self.sink(self.usual()), epoch(2, fence=3), self.SECOND)
        again = self.sink(self.usual()).marker(SINK_ID)
        assert again is not None
        assert again.epoch == 2
        self.assert_holds(*self._second_state())

    def test_receipt_accounts_for_every_row(self) -> None:
        receipt = deliver(self.sink(self.usual()), epoch(1), self.FIRST)
        assert receipt.rows == receipt.inserted == 2
        assert (receipt.updated, receipt.unchanged, receipt.ignored_older) == (0, 0, 0)

    def test_committing_the_same_staged_rows_again_writes_once(self) -> None:
        sink = self.sink(self.usual())
        sink.prepare(from_arrow(self.FIRST.schema))
        staged = stage(sink, epoch(1), self.FIRST)
        receipt = sink.commit(epoch(1), [staged])
        assert sink.commit(epoch(1), [staged]) == receipt
        assert self.sink(self.usual()).commit(epoch(1), [staged]) == receipt
        self.assert_holds(self.FIRST)

    def test_redoing_a_committed_epoch_with_another_attempt_writes_once(self) -> None:
        deliver(self.sink(self.usual()), epoch(1), self.FIRST)
        again = self.sink(self.usual())
        receipt = deliver(again, epoch(1, fence=2, attempt="other"), self.FIRST)
        assert receipt.rows == 2
        self.assert_holds(self.FIRST)
        again.marker(SINK_ID)
        assert not self.leftovers()

    def test_a_gap_is_refused_and_changes_nothing(self) -> None:
        sink = self.sink(self.usual())
        deliver(sink, epoch(1), self.FIRST)
        self.assert_refused_as_foreign(lambda: deliver(sink, epoch(3), self.SECOND))
        marker = self.sink(self.usual()).marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == 1
        self.assert_holds(self.FIRST)

    def test_a_first_epoch_that_is_not_1_is_refused(self) -> None:
        self.assert_refused_as_foreign(lambda: deliver(self.sink(self.usual()), epoch(2), self.FIRST))
        assert self.sink(self.usual()).marker(SINK_ID) is None

    def test_an_epoch_behind_the_marker_is_refused(self) -> None:
        sink = self.sink(self.usual())
        deliver(sink, epoch(1), self.FIRST)
        deliver(sink, epoch(2), self.SECOND)
        self.assert_refused_as_foreign(lambda: deliver(sink, epoch(1), self.FIRST))
        self.assert_holds(*self._second_state())

    def test_a_stale_fence_is_refused_and_changes_nothing(self) -> None:
        sink = self.sink(self.usual())
        deliver(sink, epoch(1, fence=5), self.FIRST)
        self.assert_refused_as_foreign(lambda: deliver(sink, epoch(2, fence=4), self.SECOND))
        self.assert_holds(self.FIRST)

    def test_of_two_runners_only_one_commits_an_epoch(self) -> None:
        old, new = self.sink(self.usual()), self.sink(self.usual())
        old.prepare(from_arrow(self.FIRST.schema))
        late = stage(old, epoch(1, fence=1), self.FIRST)
        new.marker(SINK_ID)
        deliver(new, epoch(1, fence=2), self.SECOND)
        try:
            old.commit(epoch(1, fence=1), [late])
        except FatalError as refused:
            assert refused.code == "SNK-120"  # noqa: PT017 -- returning the other's receipt is as good
        self.assert_holds(self.SECOND)

    def test_another_incarnation_has_a_history_of_its_own(self) -> None:
        sink = self.sink(self.usual())
        deliver(sink, epoch(1), self.FIRST)
        assert sink.marker(replace(SINK_ID, incarnation=OTHER_INCARNATION)) is None
        deliver(sink, epoch(1, incarnation=OTHER_INCARNATION), self.SECOND)
        self.assert_holds(*self._second_state())
        for incarnation in (INCARNATION, OTHER_INCARNATION):
            marker = self.sink(self.usual()).marker(replace(SINK_ID, incarnation=incarnation))
            assert marker is not None
            assert marker.epoch == 1
        self.assert_holds(*self._second_state())

    def test_the_incarnations_of_a_sink_are_those_that_it_has_markers_of(self) -> None:
        assert self.sink(self.usual()).incarnations(SINK_ID) == frozenset()
        for incarnation in (INCARNATION, OTHER_INCARNATION):
            deliver(self.sink(self.usual()), epoch(1, incarnation=incarnation), self.FIRST)
        again = self.sink(self.usual())
        assert again.incarnations(SINK_ID) == {INCARNATION, OTHER_INCARNATION}
        assert again.incarnations(replace(SINK_ID, incarnation="a third")) == {INCARNATION, OTHER_INCARNATION}
        assert again.incarnations(replace(SINK_ID, sink=f"{SINK_ID.sink}2")) == frozenset()

    def test_nothing_is_missing_of_a_target_that_was_committed(self) -> None:
        deliver(self.sink(self.usual()), epoch(1), self.FIRST)
        deliver(self.sink(self.usual()), epoch(2), self.SECOND)
        assert self.sink(self.usual()).missing() is None
