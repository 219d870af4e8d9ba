"""What readers see before, during and after a commit, and what is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from penstock.connectors.api import WriteMode
from penstock.registry import Capability
from penstock.testing.delivery import fill
from penstock.testing.sinks.conformance import SinkConformance
from penstock.testing.sinks.deliveries import SINK_ID, deliver, epoch, over_the_wire, rows
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.connectors.api import Sink


class Visibility(SinkConformance):
    """Nothing is seen before the commit, and nothing is left by what was aborted."""

    BEFORE = rows((1, "one"))
    AFTER = rows((2, "two"), (3, "three"))

    def _committed(self) -> Sink:
        deliver(self.sink(self.usual()), epoch(1), self.BEFORE)
        return self.sink(self.usual())

    def _final(self) -> tuple[pa.Table, ...]:
        return (self.AFTER,) if self.usual().mode is WriteMode.OVERWRITE else (self.BEFORE, self.AFTER)

    def test_nothing_is_visible_before_the_commit(self) -> None:
        sink = self._committed()
        sink.prepare(from_arrow(self.AFTER.schema))
        writer = sink.writer(epoch(2), from_arrow(self.AFTER.schema))
        self.assert_holds(self.BEFORE)
        fill(writer, self.AFTER)
        self.assert_holds(self.BEFORE)
        staged = over_the_wire(writer.stage())
        assert staged.rows == 2
        self.assert_holds(self.BEFORE)
        sink.commit(epoch(2), [staged])
        self.assert_holds(*self._final())
        assert not self.leftovers()

    @pytest.mark.parametrize("when", ["at once", "after writing", "after staging"])
    def test_abort_leaves_nothing(self, when: str) -> None:
        sink = self._committed()
        writer = sink.writer(epoch(2), from_arrow(self.AFTER.schema))
        if when != "at once":
            fill(writer, self.AFTER)
        if when == "after staging":
            writer.stage()
        writer.abort()
        writer.abort()
        assert not self.leftovers()
        self.assert_holds(self.BEFORE)

    @pytest.mark.parametrize("staged", [False, True])
    def test_what_a_crash_leaves_is_invisible_and_removed_by_marker(self, staged: bool) -> None:  # noqa: FBT001
        sink = self._committed()
        writer = sink.writer(epoch(2, attempt="crashed"), from_arrow(self.AFTER.schema))
        fill(writer, self.AFTER)
        if staged:
            writer.stage()
        del writer
        self.assert_holds(self.BEFORE)
        restarted = self.sink(self.usual())
        marker = restarted.marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == 1
        assert not self.leftovers()
        deliver(restarted, epoch(2, fence=2, attempt="redone"), self.AFTER)
        self.assert_holds(*self._final())

    def test_several_writers_share_one_commit(self) -> None:
        self.needs(Capability.PARALLEL)
        sink = self.sink(self.usual())
        sink.prepare(from_arrow(self.AFTER.schema))
        parts = [rows((10 * n, f"part {n}"), (10 * n + 1, None)) for n in range(3)]
        writers = [self.sink(self.usual()).writer(epoch(1), from_arrow(self.AFTER.schema)) for _ in parts]
        for writer, part in zip(writers, parts, strict=True):
            fill(writer, part)
        staged = [over_the_wire(writer.stage()) for writer in writers]
        receipt = sink.commit(epoch(1), staged)
        assert receipt.rows == receipt.inserted == 6
        self.assert_holds(*parts)

    def test_an_epoch_without_rows_moves_the_marker(self) -> None:
        sink = self.sink(self.usual())
        receipt = deliver(sink, epoch(1), rows())
        assert receipt.rows == 0
        marker = self.sink(self.usual()).marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == 1
        self.assert_holds(rows())

    def test_an_epoch_without_writers_moves_the_marker(self) -> None:
        sink = self.sink(self.usual())
        sink.prepare(from_arrow(rows().schema))
        assert sink.commit(epoch(1), []).rows == 0
        marker = self.sink(self.usual()).marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == 1
