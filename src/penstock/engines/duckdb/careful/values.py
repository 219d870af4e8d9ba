"""Columns of which every value is looked at: ``t0, t1, …`` are their texts and ``v0, v1, …`` what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.engines.duckdb.careful import reject_rows
from penstock.trees import call, column, identifier, is_not_null

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.faithful import Reading

_LAYER = "__layer"


def looked_at(
    source: exp.Table | exp.Subquery,
    readings: Mapping[str, Reading],
    *,
    texts: Mapping[str, exp.Expr],
    keep: Sequence[str],
) -> exp.Subquery:
    """Beside the columns to ``keep``, the text and the value of every reading; a value is null where there is none."""
    kept = [column(name) for name in keep]
    found = [
        exp.alias_(reading.text(texts[name].copy()), f"t{place}")
        for place, (name, reading) in enumerate(readings.items())
    ]
    inner = exp.select(*kept, *found).from_(source).subquery(_LAYER, copy=False)
    values = [
        exp.alias_(reading.value(column(f"t{place}"), tried=True), f"v{place}")
        for place, reading in enumerate(readings.values())
    ]
    given = [column(f"t{place}") for place in range(len(values))]
    return exp.select(*kept, *given, *values).from_(inner).subquery(_LAYER, copy=False)


def value_of(place: int) -> exp.Column:
    """What became of the text of the reading at this place."""
    return column(f"v{place}")


def tests_of(readings: Mapping[str, Reading]) -> dict[str, exp.Expr]:
    """Per column that has such values, whether its value is a bad one: no value of its type, or another than the text."""
    found = {
        name: reading.differs(column(f"t{place}"), value_of(place), tried=True)
        for place, (name, reading) in enumerate(readings.items())
    }
    return {name: test for name, test in found.items() if test is not None}


def any_of(tests: Sequence[exp.Expr]) -> exp.Expr:
    """Whether one of them is true; never null."""
    if not tests:
        return exp.false()
    return exp.Case().when(exp.or_(*[test.copy() for test in tests]), exp.true()).else_(exp.false())


def causes(
    readings: Mapping[str, Reading], tests: Mapping[str, exp.Expr], shown: Mapping[str, exp.Expr]
) -> list[exp.Expr]:
    """For every test the cause of a reject where it is true, else null. ``shown``: what stood there, as text."""
    found: list[exp.Expr] = []
    for name, test in tests.items():
        message = call(
            "concat",
            exp.Literal.string(f'"{name}" is no {readings[name].kind}: '),
            reject_rows.shown(shown[name].copy()),
        )
        reason = reject_rows.cause(exp.Literal.string("bad_value"), exp.Literal.string(name), message)
        found.append(exp.Case().when(test.copy(), reason))
    return found


def listed(found: Sequence[exp.Expr]) -> exp.Expr:
    """Those of the causes that are there."""
    given = is_not_null(column("__cause"))
    array = exp.Array(expressions=list(found))
    return call("list_filter", array, exp.Lambda(this=given, expressions=[identifier("__cause")]))
