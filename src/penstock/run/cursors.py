"""How far a cursor has come: found by a look at the rows of a range before it is written, kept in the range's position.

Position: ``{"v": 1, "cursor": {"by": [columns], "value": text or null, "seen": [sums]}, "at": the source's own}``; where a
series of epochs was cut there (run/series.py), ``"cut": true`` stands in the place of ``seen``. ``"nulls": [sums]`` are the rows without
a value that were rejected up to there, where they are no more than a position can name; ``"bad": rows`` says how many records the
look found that become no row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.connectors.api import BatchWriter, Staged
from penstock.engines.api import Pass
from penstock.errors import ConfigError, DataError
from penstock.graph import Graph
from penstock.graph.nodes import Aggregate, Column, Filter, Write
from penstock.graph.span import Mark, condition, identity
from penstock.trees import call, column, is_null, struct, text_of
from penstock.types import STRING, Field, Schema
from penstock.types.logical import List, Struct, StructField

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from penstock.connectors.api import Json, Position, Rows
    from penstock.engines.api import Engine
    from penstock.graph.nodes import Read

_VERSION: Final = 1
MOST_SEEN: Final = 10_000  # rows of the newest value, and without a value, that a position names
_ROWS: Final = List(Struct((StructField("value", STRING), StructField("row", STRING))))
_FOUND: Final = Schema((Field("newest", STRING), Field("rows", _ROWS), Field("nulls", List(STRING))))
_NULLS: Final = Schema((Field("nulls", List(STRING)),))


@dataclass(frozen=True, slots=True)
class Newest:
    """Where a range ends. ``nulls``: the rows without a value that there are beyond its beginning, by their checksums; None where
    they are more than a position can name, or nobody tells them apart. ``bad``: how many records were none of the source's rows.
    """

    mark: Mark | None
    nulls: frozenset[str] | None = None
    bad: int = 0


def position_of(
    read: Read, mark: Mark | None, own: Position, nulls: frozenset[str] | None = None, bad: int = 0
) -> Position:
    """``own`` is where the source itself stands. ``mark`` None: no row has a value yet."""
    assert read.cursor is not None
    by = [read.cursor.by, *read.cursor.identity]
    value = mark.value if mark else None
    cursor: dict[str, Json] = (
        {"by": by, "value": value, "cut": True}
        if mark and mark.cut
        else {"by": by, "value": value, "seen": sorted(mark.seen) if mark else []}
    )
    if nulls is not None:
        cursor["nulls"] = sorted(nulls)
    if bad:
        cursor["bad"] = bad
    return {"v": _VERSION, "cursor": cursor, "at": own}


def mark_of(read: Read, position: Position | None) -> Mark | None:
    """Raises ConfigError RUN-130 where the position is of another cursor, or names rows by other columns."""
    assert read.cursor is not None
    now = [read.cursor.by, *read.cursor.identity]
    match position:
        case {"v": 1, "cursor": {"by": list() as by, "value": value, "seen": list() as seen}}:
            if by[:1] != now[:1] or (seen and read.cursor.lag is None and by != now):
                raise _another(read, by, now)
            return Mark(str(value), frozenset(map(str, seen))) if value is not None else None
        case {"v": 1, "cursor": {"by": list() as by, "value": str() as value, "cut": True}}:
            if by[:1] != now[:1]:
                raise _another(read, by, now)
            return Mark(value, cut=True)
        case _:
            return None  # it was read in full before


def nulls_of(read: Read, position: Position | None) -> frozenset[str] | None:
    """The rows without a value that were rejected up to there; None where it names none."""
    assert read.cursor is not None
    match position:
        case {"v": 1, "cursor": {"by": list() as by, "nulls": list() as nulls}} if by[1:] == [*read.cursor.identity]:
            return frozenset(map(str, nulls))
        case _:
            return None


def both_nulls(before: frozenset[str] | None, now: frozenset[str] | None) -> frozenset[str] | None:
    """Those of two positions; None where they are too many for one."""
    if now is None:
        return None
    found = now | (before or frozenset())
    return found if len(found) <= MOST_SEEN else None


def _another(read: Read, before: Sequence[object], now: Sequence[str]) -> ConfigError:
    return ConfigError(
        "RUN-130",
        f'"{read.source}" has been read up to now by another cursor',
        detail=f"it was ({', '.join(map(str, before))}), and is ({', '.join(now)}).",
        hint="name the one it had, or begin anew with --full-refresh",
    )


def newest(engine: Engine, read: Read, rows: Sequence[Rows], after: Mark | None) -> Newest:
    """Where a range beyond ``after`` ends; at ``after`` itself where there is nothing beyond.

    Raises DataError SRC-111 where more rows have the newest value than a position can name.
    """
    cursor, schema = read.cursor, read.schema
    assert cursor is not None
    assert schema is not None
    beyond = Filter("beyond", input=read.id, condition=condition(read, after, None), schema=schema)
    by = column(cursor.by)
    known = exp.Filter(
        this=call("max", by), expression=exp.Where(this=exp.Not(this=exp.Is(this=by, expression=exp.null())))
    )
    row = struct({"value": text_of(by), "row": identity(read) if cursor.lag is None else exp.cast(exp.null(), "text")})
    most = 1 if cursor.lag is not None else MOST_SEEN + 1
    measures = (
        Column("newest", text_of(known)),
        Column("rows", call("arg_max", row, by, exp.Literal.number(most))),
        Column("nulls", _nulls(read)),
    )
    looked, bad = look(engine, read, rows, beyond=beyond, measures=measures, found=_FOUND)
    top, listed = looked["newest"], looked["rows"]
    nulls = _listed(looked["nulls"])
    if top is None:
        return Newest(after, nulls, bad)
    seen = frozenset(item["row"] for item in listed if item["value"] == top) if cursor.lag is None else frozenset()
    if after is not None and top == after.value:
        seen |= after.seen
    if len(seen) > MOST_SEEN:
        raise DataError(
            "SRC-111",
            f'more than {MOST_SEEN:,} rows of "{read.source}" have the newest value of its cursor, {cursor.by} = {top}',
            hint=f"name columns that tell them apart and a finer cursor, such as [{cursor.by}, id]; or a `lag`, for a sink that merges",
        )
    return Newest(Mark(top, seen), nulls, bad)


def without_a_value(engine: Engine, read: Read, rows: Sequence[Rows]) -> frozenset[str] | None:
    """The rows without a value, as ``Newest`` has them."""
    assert read.cursor is not None
    assert read.schema is not None
    beyond = Filter("beyond", input=read.id, condition=is_null(column(read.cursor.by)), schema=read.schema)
    looked, _ = look(engine, read, rows, beyond=beyond, measures=(Column("nulls", _nulls(read)),), found=_NULLS)
    return _listed(looked["nulls"])


def _nulls(read: Read) -> exp.Expr:
    """The checksums of rows without a value, one more than a position can name; null where nobody tells rows apart."""
    assert read.cursor is not None
    if read.cursor.lag is not None:
        return exp.cast(exp.null(), "text[]", dialect="duckdb")
    row = identity(read)
    least = call("arg_min", row, row.copy(), exp.Literal.number(MOST_SEEN + 1))
    listed = exp.Filter(this=least, expression=exp.Where(this=is_null(column(read.cursor.by))))
    return call("coalesce", listed, exp.cast(exp.Array(expressions=[]), "text[]", dialect="duckdb"))


def _listed(sums: list[str] | None) -> frozenset[str] | None:
    return frozenset(sums) if sums is not None and len(sums) <= MOST_SEEN else None


def look(
    engine: Engine, read: Read, rows: Sequence[Rows], *, beyond: Filter, measures: tuple[Column, ...], found: Schema
) -> tuple[dict[str, Any], int]:
    """The measures over the rows of a source that ``beyond`` lets pass, by name; and how many records of it became no row."""
    measured = Aggregate("look", input=beyond.id, by=(), measures=measures, schema=found)
    collected = Collected()
    write = Write("mark", input=measured.id, sink="mark", schema=found)
    outcome = engine.run(
        Pass(Graph((read, beyond, measured, write))),
        inputs={read.id: rows},
        outputs={"mark": lambda: collected},
        rejects=_Unheard(),
    )
    (row,) = (item for batch in collected.batches for item in batch.to_pylist())
    return dict(row), outcome.counts[read.id].rejected


@dataclass(slots=True)
class Collected(BatchWriter):
    """Keeps the few rows that it gets."""

    batches: list[pa.RecordBatch] = field(default_factory=list)

    def write(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)

    def stage(self) -> Staged:
        return Staged(sum(batch.num_rows for batch in self.batches), 0)

    def abort(self) -> None:
        self.batches.clear()


class _Unheard:
    """Bad records are told when the range itself is read."""

    def write(self, node: str, batch: pa.RecordBatch) -> None: ...

    def clear(self, node: str) -> None: ...


def is_new(after: Mapping[str, Json] | None, upto: Position) -> bool:
    """Whether a range of a source with a cursor may have rows, or rejects: whether its mark moved, rows without a value came, or
    there are other bad records than there were; that they are gone, or lie behind the mark by now, is nothing new.
    """
    match after, upto:
        case {"cursor": dict() as before}, {"cursor": dict() as now}:
            bad = now.get("bad", before.get("bad", 0))
            return {"nulls": [], "bad": 0, **before} != {"nulls": [], **now, "bad": bad}
        case _:
            return after != upto
