"""Rules that a profile suggests: what was true of all rows that were looked at, and that no rule of the node says yet."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeAlias

from penstock.connectors.api import ColumnFigures
from penstock.service.recalled import widened
from penstock.structs import Frozen
from penstock.types.families import Family, family
from penstock.types.logical import BOOLEAN, FLOAT32, FLOAT64, STRING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.document.models import SinkUse, SourceUse, Transform
    from penstock.service.profiling import ColumnProfile
    from penstock.service.recalled import Recalled
    from penstock.types import Field, LogicalType

MANY: Final = 100  # rows from which on a profile suggests anything
_RUNS: Final = 3  # from which on their figures suggest anything
_FEW: Final = 10  # values that are a set, each of which stands there often
_OFTEN: Final = 10  # times, on average
_CUT: Final = 50  # characters of a text that its pattern is taken of
_CLASSES: Final = {"A": r"\p{L}", "9": r"\p{N}"}

Params: TypeAlias = "dict[str, str | list[str]]"


class Advice(Frozen):
    """A rule by its name, with its short form's columns, or its parameters. Texts of numbers are numbers."""

    rule: str
    columns: tuple[str, ...] = ()
    params: Params | None = None
    is_number: bool = False  # whether the parameters beside the column are
    of_epoch: bool = False  # whether the rule has to say that it is about the rows of one epoch


def advised(
    columns: Sequence[tuple[ColumnProfile, Field]],
    rows: int,
    *,
    uses: Sequence[SourceUse | Transform | SinkUse],
    is_part: bool,
    before: Sequence[Recalled] = (),
) -> tuple[Advice, ...]:
    """``uses`` are the node as the document has it, and what is above it as far as that has the same rows: what one of them
    demands already is not advised. ``is_part``: the rows are new ones of an incremental source, of which nothing is known
    together with the others. Columns that show no values get no advice that would hold one. What runs wrote of the node's
    rows ``before`` must bear the advice out, and has its share in bounds.
    """
    if rows < MANY:
        return ()
    said = {item for use in uses for item in _said(use)}
    full = tuple(
        one.name
        for one, _ in columns
        if not one.nulls
        and not {("not_null", one.name), ("primary_key", one.name)} & said
        and not any(found.columns[one.name].nulls for found in before if one.name in found.columns)
    )
    found = [Advice("not_null", full)] if full else []
    for one, item in columns:
        repeated = any(one.name in found.repeated for found in before)
        if not is_part and not repeated and _is_key(one, item.type, rows):
            found.append(Advice("unique", (one.name,)))
        found += [] if one.is_hidden else _of_values(one, item.type, before)
    return tuple(one for one in found if one.rule == "not_null" or (one.rule, _column(one)) not in said)


def _column(item: Advice) -> str:
    return item.columns[0] if item.params is None else str(item.params["column"])


def _said(use: SourceUse | Transform | SinkUse) -> Iterator[tuple[str, str]]:
    """The rules that there are, each with a column; a schema says what is never null."""
    for item in use.contract or ():
        if not item.nullable:
            yield "not_null", item.name
    for rule in use.rules:
        for name in (*getattr(rule.params, "columns", ()), getattr(rule.params, "column", None)):
            if name is not None:
                yield rule.descriptor.name, str(name)
                if rule.descriptor.name == "primary_key":
                    yield "unique", str(name)


def _is_key(one: ColumnProfile, kind: LogicalType, rows: int) -> bool:
    return one.is_exact and one.distinct == rows and kind not in (FLOAT32, FLOAT64, BOOLEAN)


def _of_values(one: ColumnProfile, kind: LogicalType, before: Sequence[Recalled]) -> Iterator[Advice]:
    shown = sum(item.rows for item in one.top)
    if kind == STRING and one.distinct <= _FEW and shown == one.count >= _OFTEN * len(one.top) > 0:
        yield Advice("in_set", params={"column": one.name, "values": sorted(item.value for item in one.top)})
    elif kind == STRING and len(one.patterns) == 1 and one.patterns[0].rows == one.count:
        if one.lengths is not None and one.lengths[2] < _CUT:
            yield Advice("pattern", params={"column": one.name, "pattern": _expression(one.patterns[0].value)})
    elif (
        family(kind) is Family.NUMBER
        and one.distinct > 1
        and one.distinct < one.count
        and not one.nan
        and not one.infinite
    ):
        low, high = _bounds(one, before)
        yield Advice("range", params={"column": one.name, "min": low, "max": high}, is_number=True)


def _bounds(one: ColumnProfile, before: Sequence[Recalled]) -> tuple[str, str]:
    """Those of the rows; together with what runs wrote before they have some room."""
    figures = ColumnFigures(one.nulls, one.count, str(one.minimum), str(one.maximum))
    known = [found.columns[one.name] for found in before if one.name in found.columns]
    for other in known:
        figures = figures.plus(other)
    if not known or figures.low is None or figures.high is None:
        return str(one.minimum), str(one.maximum)
    return widened(figures.low, figures.high)


def advised_by_history(found: Recalled, *, uses: Sequence[SourceUse | Transform | SinkUse]) -> tuple[Advice, ...]:
    """What was true of all that runs wrote into a sink. ``uses`` are the sink and what is above it, as far as that has the
    same columns: what one of them demands already is not advised.
    """
    if found.rows < MANY or found.runs < _RUNS:
        return ()
    said = {item for use in uses for item in _said(use)}
    full = tuple(
        name
        for name, one in found.columns.items()
        if not one.nulls and not {("not_null", name), ("primary_key", name)} & said
    )
    ranges = [
        Advice("range", params={"column": name, "min": bounds[0], "max": bounds[1]}, is_number=True)
        for name, one in found.columns.items()
        if ("range", name) not in said and one.low is not None and one.high is not None and one.low != one.high
        for bounds in (widened(one.low, one.high),)
    ]
    return (*([Advice("not_null", full)] if full else []), *ranges)


def _expression(pattern: str) -> str:
    r"""A regular expression of what the pattern says.

    >>> _expression("AA-999.9")
    '\\p{L}{2}-\\p{N}{3}\\.\\p{N}'
    """
    found = []
    for letter, run in groupby(pattern):
        many = len(list(run))
        one = _CLASSES.get(letter) or ("-" if letter == "-" else re.escape(letter))
        found.append(one if many == 1 else f"{one}{{{many}}}")
    return "".join(found)
