"""A long load as a series of epochs (compile/series.py): where its pieces end, and what a position says of the rest.

Position of a source in the midst of a series: ``{"v": 1, "series": {"since": number of the first epoch, "end": the
source's own position at its end}, "at": its own}``; with a cursor the one of run/cursors.py, and ``{"series": {"since":
…, "rest": [texts]}}`` in it: the cursor's values before which the next epochs end, after which one is left that is open.
Of an interval that is read again that has its ``"interval": [from, to]`` too, and the ledger keeps no position: it stands in the
last epoch's ranges alone, and is dropped once another epoch follows.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.graph.nodes import Column, Filter
from penstock.graph.span import Interval, condition
from penstock.run.looks import look
from penstock.structs import Frozen
from penstock.trees import call, column, is_null, struct, text_of
from penstock.types import INT64, STRING, Field, Schema
from penstock.types.logical import List

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.connectors.api import Json, Position, Rows, Size
    from penstock.engines.api import Engine
    from penstock.graph.nodes import Read
    from penstock.graph.span import Mark

_VERSION: Final = 1
_SAMPLED: Final = 10_000  # values of a cursor, drawn by chance, of which the cuts are some
_FOUND: Final = Schema(
    (
        Field("rows", INT64, nullable=False),
        Field("nulls", INT64, nullable=False),
        Field("bytes", INT64),
        Field("first", STRING),
        Field("values", List(STRING)),
    )
)


class Cuts(Frozen):
    """The values of a cursor that part its rows, in order; ``nulls``: whether there are rows without a value besides."""

    values: tuple[str, ...] = ()
    nulls: bool = False


# ---------------------------------------------------------------- positions


def own_of(position: Position) -> Position:
    """Where the source itself stands in a position of the run's."""
    match position:
        case {"v": 1, "cursor": _, "at": dict() as own} | {"v": 1, "series": _, "at": dict() as own}:
            return own
        case _:
            return position


def since(positions: Iterable[Position | None]) -> int | None:
    """The first epoch of the series that some source is in the midst of; None where none is."""
    for position in positions:
        match position:
            case {"series": {"since": int() as number}}:
                return number
    return None


def end_of(position: Position | None) -> Position | None:
    """Where the series of a source without a cursor ends; None where it is in none."""
    match position:
        case {"v": 1, "series": {"end": dict() as end}}:
            return end
        case _:
            return None


def rest_of(position: Position | None) -> list[str] | None:
    """The cuts to come of a source with a cursor; None where it is in no series."""
    match position:
        case {"v": 1, "series": {"rest": list() as rest}}:
            return [str(value) for value in rest]
        case _:
            return None


def interval_of(position: Position | None) -> Interval | None:
    """Which interval is being read again in a series; None where none is."""
    match position:
        case {"series": {"interval": [str() | None as begin, str() | None as end]}}:
            return Interval(begin, end)
    return None


def up_to(at: Position, end: Position, begun: int) -> Position:
    """``at`` on the way to ``end``."""
    return end if at == end else {"v": _VERSION, "series": {"since": begun, "end": end}, "at": at}


def with_rest(position: Position, rest: Sequence[str], begun: int, interval: Interval | None = None) -> Position:
    """A position with a cursor, and the cuts to come."""
    found: dict[str, Json] = {"since": begun, "rest": list(rest)}
    if interval is not None:
        found["interval"] = [interval.begin, interval.end]
    return {**position, "series": found}


# ---------------------------------------------------------------- cuts


def cuts(
    engine: Engine, read: Read, rows: Sequence[Rows], size: Size, *, after: Mark | None, upto: Mark | None = None
) -> Cuts:
    """What parts the rows beyond ``after`` (up to ``upto``) into pieces of about ``size``, in order; found
    in one look at all of them, of which it remembers a sample.
    """
    assert read.cursor is not None
    assert read.schema is not None
    by = column(read.cursor.by)
    beyond = Filter("beyond", input=read.id, condition=condition(read, after, upto), schema=read.schema)
    drawn = call("list_sort", call("arg_min", by, call("random"), exp.Literal.number(_SAMPLED)))
    lambda_ = exp.Lambda(this=text_of(exp.column("x")), expressions=[exp.to_identifier("x")])
    measures = (
        Column("rows", exp.Count(this=by)),
        Column("nulls", exp.Filter(this=exp.Count(this=exp.Star()), expression=exp.Where(this=is_null(by)))),
        Column("bytes", _bytes(read) if size.bytes is not None else exp.cast(exp.null(), "bigint")),
        Column("first", text_of(call("min", by))),
        Column("values", exp.Anonymous(this="list_transform", expressions=[drawn, lambda_])),
    )
    found, _ = look(engine, read, rows, beyond=beyond, measures=measures, found=_FOUND)
    return Cuts(tuple(_parted(found, size)), found["nulls"] > 0)


def _bytes(read: Read) -> exp.Expr:
    """Of the rows as text."""
    assert read.schema is not None
    row = text_of(struct({name: column(name) for name in read.schema.names}))
    return exp.cast(call("sum", call("strlen", row)), "bigint")


def _parted(found: dict[str, Any], size: Size) -> list[str]:
    rows, values = found["rows"], found["values"] or []
    pieces = 1
    if size.rows is not None:
        pieces = max(pieces, ceil(rows / size.rows))
    if size.bytes is not None:
        pieces = max(pieces, ceil((found["bytes"] or 0) / size.bytes))
    chosen = (values[len(values) * piece // pieces] for piece in range(1, pieces)) if values else ()
    return [value for value in dict.fromkeys(chosen) if value != found["first"]]


__all__ = ["Cuts", "cuts", "end_of", "interval_of", "own_of", "rest_of", "since", "up_to", "with_rest"]
