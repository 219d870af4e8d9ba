"""Hostile values and names: held exactly, or refused by name."""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from penstock.errors import ConfigError, DataError
from penstock.testing import data
from penstock.testing.sinks.conformance import SinkConformance
from penstock.testing.sinks.deliveries import deliver, epoch
from penstock.types.arrow import from_arrow

FLOATS = ("float32", "float64")


class Values(SinkConformance):
    """What is written is what is read back, type by type."""

    @pytest.mark.parametrize("logical", data.TYPES)
    def test_every_value_of_a_type_survives_or_the_type_is_refused(self, logical: str) -> None:
        table = data.table_of(data.column(logical).values)
        if self.refuses_nul and logical == "string":
            table = data.table_of(pa.array([s for s in data.STRINGS if s not in data.NUL_STRINGS] + [None]))
        if self.refuses_nonfinite and logical in FLOATS:
            table = table.filter(pc.is_finite(table.column("value")))
        sink = self.sink(self.usual())
        if logical in self.refuses:
            for refused in (sink.preview, sink.prepare):
                with pytest.raises(ConfigError) as caught:
                    refused(from_arrow(table.schema))
                assert caught.value.code == "SNK-110"
                assert '"value"' in str(caught.value)
            return
        deliver(sink, epoch(1), table)
        self.assert_holds(table)

    def test_nul_is_held_or_refused_and_never_cut(self) -> None:
        table = data.table_of(pa.array(data.NUL_STRINGS))
        if not self.refuses_nul:
            deliver(self.sink(self.usual()), epoch(1), table)
            self.assert_holds(table)
            return
        with pytest.raises(DataError):
            deliver(self.sink(self.usual()), epoch(1), table)
        self.assert_holds(table.slice(0, 0))

    @pytest.mark.parametrize("logical", FLOATS)
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_is_no_number_is_held_or_refused_and_never_changed(self, logical: str, value: float) -> None:
        kind = data.column(logical).values.type
        table = data.table_of(pa.array([1.5, value], kind))
        if not self.refuses_nonfinite:
            deliver(self.sink(self.usual()), epoch(1), table)
            self.assert_holds(table)
            return
        with pytest.raises(DataError):
            deliver(self.sink(self.usual()), epoch(1), table)
        self.assert_holds(table.slice(0, 0))

    def test_a_huge_string_survives(self) -> None:
        table = data.table_of(pa.array([data.HUGE_STRING, "", data.HUGE_STRING]))
        deliver(self.sink(self.usual()), epoch(1), table)
        self.assert_holds(table)

    @pytest.mark.parametrize("name", [*data.NAMES, data.LONG_NAME])
    def test_a_hostile_column_name_survives_or_is_refused(self, name: str) -> None:
        table = data.named_table([name])
        sink = self.sink(self.usual())
        if name in self.refused_names:
            with pytest.raises(ConfigError) as caught:
                sink.prepare(from_arrow(table.schema))
            assert caught.value.code == "SNK-110"
            return
        deliver(sink, epoch(1), table)
        self.assert_holds(table)

    def test_names_that_differ_only_in_case_are_held_or_refused(self) -> None:
        table = data.named_table(data.CASE_COLLIDING)
        sink = self.sink(self.usual())
        if self.case_sensitive_names:
            deliver(sink, epoch(1), table)
            self.assert_holds(table)
            return
        with pytest.raises(ConfigError) as caught:
            sink.prepare(from_arrow(table.schema))
        assert caught.value.code == "SNK-113"

    def test_one_column_is_enough(self) -> None:
        table = pa.table({data.ID: pa.array([3, 1, 2], pa.int64())})
        deliver(self.sink(self.usual()), epoch(1), table)
        self.assert_holds(table)
