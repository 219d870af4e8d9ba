"""Append, overwrite, overwrite_partitions: what is in the table afterwards."""

from __future__ import annotations

import pytest

from penstock.connectors.api import WriteMode
from penstock.errors import DataError
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.sinks.conformance import SinkConformance
from penstock.testing.sinks.deliveries import APPEND, BY_PART, OVERWRITE, deliver, epoch, rows


class Append(SinkConformance):
    """Rows that are added to what is there."""

    def test_append_adds_rows_and_keeps_equal_ones(self) -> None:
        self.needs(WriteMode.APPEND)
        first, second = rows((1, "a"), (1, "a")), rows((1, "a"), (2, "b"))
        sink = self.sink(APPEND)
        deliver(sink, epoch(1), first)
        receipt = deliver(sink, epoch(2), second)
        assert (receipt.rows, receipt.inserted) == (2, 2)
        self.assert_holds(first, second)

    def test_rows_without_a_column_that_may_be_null_get_null_there(self) -> None:
        self.needs(WriteMode.APPEND)
        sink = self.sink(APPEND)
        deliver(sink, epoch(1), rows((1, "a")))
        deliver(sink, epoch(2), rows((2,), names=(data.ID,)))
        self.assert_holds(rows((1, "a"), (2, None)))


class Overwrite(SinkConformance):
    """Rows that replace what is there."""

    OLD = rows((1, "old"), (2, "old"), (3, "old"))
    NEW = rows((3, "new"), (4, "new"))

    def test_overwrite_replaces_the_whole_table(self) -> None:
        self.needs(WriteMode.OVERWRITE)
        deliver(self.sink(OVERWRITE), epoch(1), self.OLD)
        receipt = deliver(self.sink(OVERWRITE), epoch(2), self.NEW)
        assert (receipt.rows, receipt.inserted) == (2, 2)
        assert receipt.deleted in (None, 3)
        self.assert_holds(self.NEW)
        assert not self.leftovers()

    def test_an_empty_input_does_not_overwrite_unless_allowed(self) -> None:
        self.needs(WriteMode.OVERWRITE)
        deliver(self.sink(OVERWRITE), epoch(1), self.OLD)
        with pytest.raises(DataError) as caught:
            deliver(self.sink(OVERWRITE), epoch(2), self.OLD.slice(0, 0))
        assert caught.value.code == "SNK-114"
        self.assert_holds(self.OLD)
        deliver(self.sink(replace(OVERWRITE, allow_empty=True)), epoch(2), self.OLD.slice(0, 0))
        self.assert_holds(self.OLD.slice(0, 0))

    def test_overwrite_partitions_replaces_only_partitions_that_came(self) -> None:
        self.needs(WriteMode.OVERWRITE_PARTITIONS)
        names = (data.ID, "part")
        deliver(self.sink(BY_PART), epoch(1), rows((1, "a"), (2, "b"), (3, "b"), (4, None), names=names))
        receipt = deliver(self.sink(BY_PART), epoch(2), rows((5, "b"), (6, "c"), (7, None), names=names))
        assert (receipt.rows, receipt.inserted) == (3, 3)
        assert receipt.deleted in (None, 3)
        self.assert_holds(rows((1, "a"), (5, "b"), (6, "c"), (7, None), names=names))

    def test_hostile_partition_values_survive(self) -> None:
        self.needs(WriteMode.OVERWRITE_PARTITIONS)
        values = [(at, v) for at, v in enumerate(data.PARTITION_VALUES) if v not in self.refused_partition_values]
        table = rows(*values, names=(data.ID, "part"))
        deliver(self.sink(BY_PART), epoch(1), table)
        self.assert_holds(table)
        again = rows(*[(100 + at, value) for at, value in values], names=(data.ID, "part"))
        deliver(self.sink(BY_PART), epoch(2), again)
        self.assert_holds(again)

    def test_a_partition_value_that_cannot_be_held_is_refused(self) -> None:
        self.needs(WriteMode.OVERWRITE_PARTITIONS)
        for value in self.refused_partition_values:
            table = rows((1, value), names=(data.ID, "part"))
            with pytest.raises(DataError):
                deliver(self.sink(BY_PART), epoch(1), table)
            self.assert_holds(table.slice(0, 0))
