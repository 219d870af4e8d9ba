"""What a profile asks of a column, as aggregates: a first set by sketches, and a second one that counts what the first
found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.structs import Frozen
from penstock.trees import call, column, is_not_null, text_of, texts, when
from penstock.types.families import Family, family
from penstock.types.logical import FLOAT32, FLOAT64, STRING, TIMESTAMPTZ, List, Map, Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from penstock.types import Field

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS: Final = 20
TOP: Final = 10  # most frequent values
PATTERNS: Final = 5  # most frequent patterns of a text
_VALUE: Final = 100  # characters of a value that are looked at, to bound the memory
_PATTERN: Final = 50
_DICTIONARY: Final = 10_000  # distinct texts of which each is looked at once, however many rows have it
_CLASSES: Final = (("\\p{L}", "A"), ("\\p{N}", "9"))
_FEW: Final = 1_000  # distinct values that are counted exactly
_EXACT: Final = 0.9  # share of distinct values, by a sketch that is off by some percent, above which all may be


class Measured(Frozen):
    """A column and the place of its measures among those of others."""

    field: Field
    place: int

    @property
    def value(self) -> exp.Column:
        return column(self.field.name)

    def name(self, measure: str) -> str:
        return f"{measure}_{self.place}"

    # ------------------------------------------------------------ the kinds of columns

    @property
    def is_float(self) -> bool:
        return self.field.type in (FLOAT32, FLOAT64)

    @property
    def is_number(self) -> bool:
        return family(self.field.type) is Family.NUMBER

    @property
    def is_instant(self) -> bool:
        return family(self.field.type) is Family.INSTANT

    @property
    def is_text(self) -> bool:
        return self.field.type == STRING

    @property
    def is_nested(self) -> bool:
        return isinstance(self.field.type, List | Map | Struct)

    def axis(self) -> exp.Expr | None:
        """The value as a finite number, of an instant seconds since 1970; None for a column of other values."""
        if self.is_instant:
            value = self.value if self.field.type != TIMESTAMPTZ else _as(self.value, exp.DType.TIMESTAMP)
            return when(call("isfinite", value), _as(call("epoch", value), exp.DType.DOUBLE))
        if not self.is_number:
            return None
        number = _as(self.value, exp.DType.DOUBLE)
        return when(call("isfinite", self.value), number) if self.is_float else number

    def shown(self) -> exp.Expr | None:
        """The value as text, cut where it is long; None for a nested one."""
        return None if self.is_nested else call("left", text_of(self.value), exp.Literal.number(_VALUE))

    def pattern(self) -> exp.Expr:
        """The text with A for each letter and 9 for each digit."""
        text: exp.Expr = self._start()
        for kind, letter in _CLASSES:
            text = call("regexp_replace", text, *texts([kind, letter, "g"]).expressions)
        return text

    # ------------------------------------------------------------ measures

    def sketches(self, *, hidden: bool) -> Iterator[tuple[str, exp.Expr]]:
        """By name; of a ``hidden`` column nothing that would show a value."""
        yield self.name("count"), exp.Count(this=self.value)
        yield self.name("distinct"), call("approx_count_distinct", self.value)
        if self.is_float:
            yield self.name("nan"), _counted(call("isnan", self.value))
            yield self.name("infinite"), _counted(call("isinf", self.value))
        if hidden:
            return
        shown, axis = self.shown(), self.axis()
        if shown is not None:
            yield self.name("min"), call("left", text_of(exp.Min(this=self._ordered())), exp.Literal.number(_VALUE))
            yield self.name("max"), call("left", text_of(exp.Max(this=self._ordered())), exp.Literal.number(_VALUE))
            yield self.name("top"), call("approx_top_k", shown, exp.Literal.number(TOP))
        length = self._length()
        if length is not None:
            yield self.name("shortest"), exp.Min(this=length)
            yield self.name("longest"), exp.Max(this=length)
            yield self.name("length"), exp.Avg(this=length)
        if self.is_text:
            yield self.name("empty"), _counted(exp.EQ(this=self.value, expression=exp.Literal.string("")))
        if axis is not None:
            shares = exp.Array(expressions=[exp.Literal.number(str(share)) for share in QUANTILES])
            yield self.name("quantiles"), call("approx_quantile", axis, shares)
            yield self.name("low"), exp.Min(this=axis.copy())
            yield self.name("high"), exp.Max(this=axis.copy())
        if axis is not None and self.is_number:
            yield self.name("mean"), exp.Avg(this=axis.copy())
            yield self.name("stddev"), call("stddev_samp", axis)

    def counts(self, found: Mapping[str, Any], *, hidden: bool) -> Iterator[tuple[str, exp.Expr]]:
        """What the sketches ``found`` is counted; all distinct values where they may be as many as the values."""
        if found[self.name("distinct")] <= _FEW or found[self.name("distinct")] >= _EXACT * found[self.name("count")]:
            yield self.name("exact"), exp.Count(this=exp.Distinct(expressions=[self.value]))
        if hidden:
            return
        shown, axis = self.shown(), self.axis()
        top = found.get(self.name("top"))
        if shown is not None and top:
            yield self.name("top"), _counted_each(shown, top)
        if self.is_text and found[self.name("distinct")] <= _DICTIONARY:
            yield self.name("dictionary"), call("histogram", self._start())
        elif self.is_text:
            yield self.name("forms"), call("approx_top_k", self.pattern(), exp.Literal.number(PATTERNS))
        low, high = found.get(self.name("low")), found.get(self.name("high"))
        if axis is not None and low is not None and high is not None and 0 < high - low < float("inf"):
            yield self.name("bins"), call("histogram", _bin(axis, low, high))

    def patterns(self, counted: Mapping[str, Any]) -> Iterator[tuple[str, exp.Expr]]:
        """How many rows have the patterns that a sketch found; of few values these tell (``patterns_of``)."""
        forms = counted.get(self.name("forms"))
        if forms:
            yield self.name("patterns"), _counted_each(self.pattern(), forms)

    def _start(self) -> exp.Expr:
        return call("left", self.value, exp.Literal.number(_PATTERN))

    def _ordered(self) -> exp.Expr:
        """NaN has no place in an order."""
        if not self.is_float:
            return self.value
        return when(exp.Not(this=call("isnan", self.value)), self.value)

    def _length(self) -> exp.Expr | None:
        if self.is_text or isinstance(self.field.type, List):
            return call("len", self.value)
        return call("octet_length", self.value) if str(self.field.type) == "binary" else None


def patterns_of(dictionary: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """The most frequent patterns of texts, each with its rows, and their rows: every text is taken apart once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    forms = pa.array([value for value, _ in dictionary], pa.string())
    for kind, letter in _CLASSES:
        forms = pc.replace_substring_regex(forms, kind, letter)
    each = pa.table({"form": forms, "rows": pa.array([rows for _, rows in dictionary], pa.int64())})
    summed = each.group_by("form").aggregate([("rows", "sum")])
    most = summed.sort_by([("rows_sum", "descending"), ("form", "ascending")]).slice(0, PATTERNS)
    return list(zip(most.column("form").to_pylist(), most.column("rows_sum").to_pylist(), strict=True))


def correlation(one: Measured, other: Measured) -> exp.Expr:
    """Pearson's, over rows that have both values."""
    left, right = one.axis(), other.axis()
    assert left is not None
    assert right is not None
    return call("corr", left, right)


def _as(value: exp.Expr, kind: exp.DType) -> exp.Cast:
    return exp.Cast(this=value, to=exp.DataType(this=kind))


def _counted(condition: exp.Expr) -> exp.Expr:
    return exp.Count(this=when(condition, exp.Literal.number(1)))


def _counted_each(value: exp.Expr, wanted: list[str]) -> exp.Expr:
    """A map of each wanted value to its rows: as large as the list, whatever there is besides."""
    among = exp.In(this=value.copy(), expressions=texts(wanted).expressions)
    return call("histogram", when(exp.and_(among, is_not_null(value)), value))


def _bin(axis: exp.Expr, low: float, high: float) -> exp.Expr:
    """The place of the value among bins of one width, from 0 on; the highest value is in the last one."""
    width = (high - low) / BINS
    above = exp.Paren(this=exp.Sub(this=axis, expression=_number(low)))
    place = call("floor", exp.Div(this=above, expression=_number(width)))
    last = _as(call("least", place, exp.Literal.number(BINS - 1)), exp.DType.INT)
    return when(is_not_null(axis), last)


def _number(value: float) -> exp.Expr:
    """Exactly that double."""
    return _as(exp.Literal.string(repr(value)), exp.DType.DOUBLE)
