"""Creating and changing the target by policy."""

from __future__ import annotations

import pyarrow as pa
import pytest

from penstock.connectors.api import WriteMode
from penstock.errors import ConfigError
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.sinks.conformance import SinkConformance
from penstock.testing.sinks.deliveries import deliver, epoch, rows
from penstock.types.arrow import from_arrow


class Evolution(SinkConformance):
    """Columns that the target lacks or has in a narrower type, by policy."""

    SMALL = rows((1, "one"))
    WIDER = rows((2, "two", 22), names=(data.ID, "name", "size"))

    def test_a_target_that_is_not_there_is_created(self) -> None:
        sink = self.sink(self.usual())
        schema = from_arrow(self.SMALL.schema)
        assert sink.describe() is None
        assert sink.preview(schema).creates
        assert self.sink(self.usual()).describe() is None
        deliver(sink, epoch(1), self.SMALL)
        preparation = self.sink(self.usual()).preview(schema)
        assert (preparation.creates, preparation.adds, preparation.widens, preparation.ignores) == (False, (), (), ())
        described = self.sink(self.usual()).describe()
        assert described is not None
        assert [column.name for column in described] == [data.ID, "name"]

    def test_prepare_may_be_repeated(self) -> None:
        schema = from_arrow(self.SMALL.schema)
        sink = self.sink(self.usual())
        sink.prepare(schema)
        sink.prepare(schema)
        deliver(sink, epoch(1), self.SMALL)
        self.sink(self.usual()).prepare(schema)
        self.assert_holds(self.SMALL)

    def test_a_new_column_fails_by_default_and_changes_nothing(self) -> None:
        options = replace(self.usual(), mode=self._keeping(), keys=self._keys())
        deliver(self.sink(options), epoch(1), self.SMALL)
        for refused in (self.sink(options).preview, self.sink(options).prepare):
            with pytest.raises(ConfigError) as caught:
                refused(from_arrow(self.WIDER.schema))
            assert caught.value.code == "SNK-111"
            assert '"size"' in str(caught.value)
        self.assert_holds(self.SMALL)

    def test_a_new_column_is_added_when_the_policy_says_evolve(self) -> None:
        options = replace(self.usual(), mode=self._keeping(), keys=self._keys(), on_schema_change="evolve")
        deliver(self.sink(options), epoch(1), self.SMALL)
        sink = self.sink(options)
        assert [column.name for column in sink.preview(from_arrow(self.WIDER.schema)).adds] == ["size"]
        self.assert_holds(self.SMALL)
        deliver(sink, epoch(2), self.WIDER)
        self.assert_holds(rows((1, "one", None), (2, "two", 22), names=(data.ID, "name", "size")))

    def test_a_new_column_is_left_out_when_the_policy_says_ignore(self) -> None:
        options = replace(self.usual(), mode=self._keeping(), keys=self._keys(), on_schema_change="ignore")
        deliver(self.sink(options), epoch(1), self.SMALL)
        sink = self.sink(options)
        assert [column.name for column in sink.preview(from_arrow(self.WIDER.schema)).ignores] == ["size"]
        deliver(sink, epoch(2), self.WIDER)
        self.assert_holds(rows((1, "one"), (2, "two")))

    def test_a_wider_type_follows_the_policy(self) -> None:
        narrow = pa.table([pa.array([1], pa.int64()), pa.array([7], pa.int32())], names=[data.ID, "size"])
        wide = pa.table([pa.array([2], pa.int64()), pa.array([2**40], pa.int64())], names=[data.ID, "size"])
        options = replace(self.usual(), mode=self._keeping(), keys=self._keys())
        deliver(self.sink(options), epoch(1), narrow)
        with pytest.raises(ConfigError) as caught:
            self.sink(options).prepare(from_arrow(wide.schema))
        assert caught.value.code == "SNK-111"
        if not self.widens:
            return
        evolving = self.sink(replace(options, on_schema_change="evolve"))
        assert [old.name for old, _ in evolving.preview(from_arrow(wide.schema)).widens] == ["size"]
        deliver(evolving, epoch(2), wide)
        self.assert_holds(pa.concat_tables([narrow.cast(wide.schema), wide]))

    def test_a_column_of_another_kind_is_refused_whatever_the_policy(self) -> None:
        other = pa.table([pa.array([1], pa.int64()), pa.array([True])], names=[data.ID, "name"])
        options = replace(self.usual(), mode=self._keeping(), keys=self._keys(), on_schema_change="evolve")
        deliver(self.sink(options), epoch(1), self.SMALL)
        with pytest.raises(ConfigError) as caught:
            self.sink(options).prepare(from_arrow(other.schema))
        assert caught.value.code in ("SNK-110", "SNK-111")
        assert '"name"' in str(caught.value)
        self.assert_holds(self.SMALL)

    def _keeping(self) -> WriteMode:
        """A declared mode that keeps the rows that are there."""
        for mode in (WriteMode.APPEND, WriteMode.MERGE):
            if mode.value in self.descriptor.modes:
                return mode
        pytest.skip(f"{self.descriptor.name} keeps no rows from one epoch to the next")

    def _keys(self) -> tuple[str, ...]:
        return (data.ID,) if self._keeping() is WriteMode.MERGE else ()
