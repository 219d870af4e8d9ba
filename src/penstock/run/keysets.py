"""How far a cursor has come where more rows have its newest value than a position can name: up to the greatest of them by the
further columns that the document names (graph/keyset.py).

Rows that come later behind that one are of the next range. What comes up to it is in none: how many rows there were, and a
checksum of them, tell that there is some.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.errors import ConfigError
from penstock.graph.keyset import Key, has_order, is_beyond, total_of
from penstock.graph.nodes import Column, Filter
from penstock.graph.span import Mark, identity, is_at, lacks
from penstock.run.looks import look
from penstock.structs import Frozen, field
from penstock.trees import call, column, struct, text_of
from penstock.types import INT64, STRING, Field, Schema
from penstock.types.duckdb import to_duckdb
from penstock.types.logical import List

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.connectors.api import Json, Position, Rows
    from penstock.engines.api import Engine
    from penstock.graph.nodes import Read

COUNTED: Final = (Field("key_rows", INT64), Field("key_total", STRING))
_FOUND: Final = Schema(
    (
        *COUNTED,
        Field("fresh", INT64),
        Field("values", List(STRING)),
        Field("rows", INT64),
        Field("total", STRING),
        Field("lacking", List(STRING)),
    )
)


class Behind(Frozen):
    """How many rows at least came with this value of the cursor that no range has any more."""

    value: str
    rows: int


class Greatest(Frozen):
    """``lacking``: the checksums of the rows of the value that lack a column of the key, and how many there are of each; more than
    a position can name where they are too many.
    """

    key: Key | None
    lacking: Mapping[str, int] = field(default_factory=dict)
    behind: Behind | None = None


# ---------------------------------------------------------------- positions


def told_by(key: Key) -> Json:
    return {"types": list(key.types), "values": list(key.values), "rows": key.rows, "total": key.total}


def key_of(read: Read, columns: Sequence[object], told: object) -> Key:
    """Raises ConfigError RUN-138 where it is none, RUN-130 where it is of other columns, or of other types."""
    assert read.cursor is not None
    match told:
        case {"types": list() as types, "values": list() as values, "rows": int() as rows, "total": str() as total} if (
            len(types) == len(values) == len(columns) > 0
        ):
            key = Key(tuple(map(str, columns)), tuple(map(str, types)), tuple(map(str, values)), rows, total)
        case _:
            raise ConfigError(
                "RUN-138",
                f'the position of "{read.source}" says in no known way how far its cursor has come',
                detail=f"It was written by another version of Penstock, or by something else, for {read.cursor.by}.",
                hint="take the version that wrote it, or begin anew with --full-refresh",
            )
    names = read.cursor.identity if read.cursor.row else ()
    now = (names, _types(read, names))
    if (key.columns, key.types) != now:
        raise ConfigError(
            "RUN-130",
            f'"{read.source}" has been read up to now by another cursor',
            detail=f"besides {read.cursor.by} it was ({_told(key.columns, key.types)}), and is ({_told(*now)}).",
            hint="name the one it had, or begin anew with --full-refresh",
        )
    return key


def _told(columns: Sequence[str], types: Sequence[str]) -> str:
    return ", ".join(f"{name}: {kind}" for name, kind in zip(columns, types, strict=True))


def _types(read: Read, names: Sequence[str]) -> tuple[str, ...]:
    assert read.schema is not None
    return tuple(str(read.schema[name].type) for name in names)


def behind_of(position: Position) -> Behind | None:
    """What the look that found a position saw that came too late."""
    match position:
        case {"cursor": {"behind": {"value": str() as value, "rows": int() as rows}}}:
            return Behind(value, rows)
    return None


def may_have_key(read: Read) -> bool:
    return why_no_key(read) is None


def why_no_key(read: Read) -> str | None:
    """Why no position says by further columns how far it is; None where one may."""
    assert read.cursor is not None
    assert read.schema is not None
    if not read.cursor.row:
        return "Its cursor has no further columns."
    unfit = [name for name in read.cursor.identity if not has_order(read.schema[name].type)]
    if unfit:
        return f"Of its further columns {unfit[0]} has no order."
    kept_out = [name for name in read.cursor.identity if read.schema[name].labels]
    if kept_out:
        return f"Of its further columns {kept_out[0]} carries a label, and its values are kept out of positions."
    return None


# ---------------------------------------------------------------- looks


def count_at(read: Read, after: Mark | None) -> tuple[Column, ...]:
    """The measures ``COUNTED``: the rows by now up to the key of ``after``; nulls where it has none."""
    if after is None or after.key is None:
        return tuple(Column(item.name, exp.Cast(this=exp.null(), to=to_duckdb(item.type))) for item in COUNTED)
    place = exp.and_(is_at(read, after), exp.not_(lacks(read)), exp.not_(is_beyond(read, after.key)))
    rows, total = COUNTED
    return (
        Column(rows.name, _where(exp.Count(this=exp.Star()), place)),
        Column(total.name, _total(after.key.columns, place)),
    )


def _where(measure: exp.Expr, place: exp.Expr) -> exp.Expr:
    return exp.Filter(this=measure, expression=exp.Where(this=place.copy()))


def _total(columns: Sequence[str], place: exp.Expr) -> exp.Expr:
    """Text of a sum over the rows of a place; "0" where there is none."""
    return call("coalesce", text_of(_where(total_of(columns), place)), exp.Literal.string("0"))


def behind(after: Mark | None, looked: Mapping[str, Any]) -> Behind | None:
    """What came up to the key of ``after`` since it was taken down. Where rows went as well, as many may hide that others came."""
    if after is None or after.key is None:
        return None
    more = looked["key_rows"] - after.key.rows
    if more > 0:
        return Behind(after.value, more)
    return Behind(after.value, 1) if more == 0 and looked["key_total"] != after.key.total else None


def greatest(
    engine: Engine, read: Read, rows: Sequence[Rows], after: Mark | None, value: str, *, most: int
) -> Greatest:
    """The rows of the cursor's ``value``; ``after`` is a mark of the same value. A key never goes back: what is gone from the
    end and comes again has been read.
    """
    assert read.cursor is not None
    columns, before = read.cursor.identity, after.key if after is not None else None
    here = is_at(read, Mark(value))
    told = exp.not_(lacks(read))
    fresh = exp.and_(told, is_beyond(read, before)) if before is not None else told
    texts = exp.Array(expressions=[text_of(column(name)) for name in columns])
    row = identity(read, columns)
    measures = (
        *count_at(read, after),
        Column("fresh", _where(exp.Count(this=exp.Star()), fresh)),
        Column("values", _where(call("arg_max", texts, struct({name: column(name) for name in columns})), fresh)),
        Column("rows", _where(exp.Count(this=exp.Star()), told)),
        Column("total", _total(columns, told)),
        Column("lacking", _where(call("arg_min", row, row.copy(), exp.Literal.number(most + 1)), lacks(read))),
    )
    beyond = Filter("beyond", input=read.id, condition=here, schema=read.schema)
    looked, _ = look(engine, read, rows, beyond=beyond, measures=measures, found=_FOUND)
    lacking, late = Counter[str](looked["lacking"] or ()), behind(after, looked)
    if not looked["fresh"] and before is not None and late is None:
        return Greatest(before, lacking)
    values = tuple(looked["values"]) if looked["fresh"] else before.values if before is not None else None
    if values is None:
        return Greatest(None, lacking)
    return Greatest(Key(columns, _types(read, columns), values, looked["rows"], looked["total"]), lacking, late)


__all__ = [
    "COUNTED", "Behind", "Greatest", "behind", "behind_of", "count_at", "greatest", "key_of", "may_have_key", "told_by", "why_no_key",
]  # fmt: skip
