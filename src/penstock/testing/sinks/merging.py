"""Merge: inserted, updated, unchanged, ignored as older; only sent columns change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from penstock.connectors.api import WriteMode
from penstock.errors import ConfigError
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.sinks.conformance import SinkConformance
from penstock.testing.sinks.deliveries import MERGE, MERGE_NEWER, deliver, epoch, rows
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    import pyarrow as pa


class Merge(SinkConformance):
    """Rows that meet rows of the same key."""

    NAMES = (data.ID, "seen", "name")

    def _rows(self, *values: tuple[Any, ...]) -> pa.Table:
        return rows(*values, names=self.NAMES)

    def test_merge_inserts_updates_and_leaves_the_rest(self) -> None:
        self.needs(WriteMode.MERGE)
        sink = self.sink(MERGE)
        deliver(sink, epoch(1), self._rows((1, 1, "a"), (2, 1, "b"), (3, None, None)))
        receipt = deliver(sink, epoch(2), self._rows((2, 1, "B"), (3, None, None), (4, 1, "d")))
        assert (receipt.rows, receipt.inserted, receipt.ignored_older) == (3, 1, 0)
        assert receipt.updated + receipt.unchanged == 2
        if self.tells_unchanged:
            assert (receipt.updated, receipt.unchanged) == (1, 1)
        self.assert_holds(self._rows((1, 1, "a"), (2, 1, "B"), (3, None, None), (4, 1, "d")))

    def test_an_older_row_is_ignored_and_counted(self) -> None:
        self.needs(WriteMode.MERGE)
        sink = self.sink(MERGE_NEWER)
        deliver(sink, epoch(1), self._rows((1, 5, "a"), (2, 5, "b"), (3, 5, "c"), (4, None, "d"), (5, 5, "e")))
        sent = self._rows(
            (1, 4, "older"), (2, 5, "same"), (3, 6, "newer"), (4, 1, "first"), (5, None, "null"), (6, 1, "f")
        )
        receipt = deliver(sink, epoch(2), sent)
        assert (receipt.rows, receipt.inserted, receipt.updated, receipt.ignored_older) == (6, 1, 3, 2)
        assert receipt.unchanged == 0
        self.assert_holds(
            self._rows((1, 5, "a"), (2, 5, "same"), (3, 6, "newer"), (4, 1, "first"), (5, 5, "e"), (6, 1, "f"))
        )

    def test_only_sent_columns_change(self) -> None:
        self.needs(WriteMode.MERGE)
        deliver(self.sink(MERGE), epoch(1), self._rows((1, 1, "a"), (2, 1, "b")))
        deliver(self.sink(MERGE), epoch(2), rows((2, "B"), (3, "c")))
        self.assert_holds(self._rows((1, 1, "a"), (2, 1, "B"), (3, None, "c")))

    def test_a_composite_key_of_text_and_number_is_compared_exactly(self) -> None:
        self.needs(WriteMode.MERGE)
        names = (data.ID, "part", "name")
        options = replace(MERGE, keys=(data.ID, "part"))
        parts = ["a", "A", "a ", "", "e\u0301", "\u00e9", "'; DROP TABLE x;--"]
        deliver(self.sink(options), epoch(1), rows(*[(1, part, "old") for part in parts], names=names))
        receipt = deliver(self.sink(options), epoch(2), rows((1, "A", "new"), (2, "a", "new"), names=names))
        assert receipt.inserted == 1
        found = self.read_back(rows(names=names).schema)
        assert found is not None
        seen = {(row[data.ID], row["part"]): row["name"] for row in found.to_pylist()}
        assert seen == {**{(1, part): "old" for part in parts}, (1, "A"): "new", (2, "a"): "new"}

    def test_a_key_that_is_not_among_the_columns_is_refused(self) -> None:
        self.needs(WriteMode.MERGE)
        sink = self.sink(replace(MERGE, keys=(data.ID, "missing")))
        for refused in (sink.preview, sink.prepare):
            with pytest.raises(ConfigError) as caught:
                refused(from_arrow(rows().schema))
            assert caught.value.code == "SNK-112"
            assert '"missing"' in str(caught.value)

    def test_merging_the_same_rows_again_changes_nothing(self) -> None:
        self.needs(WriteMode.MERGE)
        table = self._rows((1, 1, "a"), (2, None, None))
        deliver(self.sink(MERGE_NEWER), epoch(1), table)
        receipt = deliver(self.sink(MERGE_NEWER), epoch(2), table)
        assert (receipt.rows, receipt.inserted) == (2, 0)
        if self.tells_unchanged:
            assert (receipt.updated, receipt.unchanged) == (0, 2)
        self.assert_holds(table)
