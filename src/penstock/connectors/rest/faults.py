"""Which records are none, and which values do not fit their types: found by a second, exact query over a group.

Beside each typed value stands the value as JSON: one that is there in JSON and not in the typed form did not fit. Inside
lists, maps and structs the same is asked of every place. And beside it stands its text, from which it may not differ.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, assert_never

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from penstock.connectors.api import REJECT_COLUMNS
from penstock.connectors.rest.database import NUMBER, PAGES, pages_table
from penstock.connectors.rest.exact import quoted, quoted_with_care
from penstock.connectors.rest.path import pointer
from penstock.connectors.rest.shape import identifier, member, records_of, structure_of
from penstock.errors import DataError
from penstock.faithful import Spelling, textual
from penstock.structs import Frozen
from penstock.trees import call, is_not_null, is_null, struct, when
from penstock.types import FLOAT32, FLOAT64, JSON, STRING, Schema
from penstock.types.conform import conform
from penstock.types.logical import Decimal, List, Map, Primitive, Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.connectors.rest.database import Database
    from penstock.connectors.rest.path import Path
    from penstock.connectors.rest.spool import Group
    from penstock.faithful import Reading
    from penstock.types.logical import LogicalType

SPELLING: Final = Spelling(is_json=True)
_SHOWN: Final = 100
REJECTS: Final = Schema.of(REJECT_COLUMNS)


class Found(Frozen):
    """``rows`` are the 0-based places of rejected records in the group; ``nulled`` by column the places whose value is
    to be null.
    """

    rows: pa.Array
    rejects: pa.RecordBatch
    nulled: Mapping[str, pa.Array]

    def applied_to(self, table: pa.Table) -> pa.Table:
        """The table without rejected rows, and without values that do not fit."""
        places = pa.array(range(table.num_rows), pa.int64()) if len(self.rows) or self.nulled else None
        for name, rows in self.nulled.items():
            values = table.column(name).combine_chunks()
            kept = pc.if_else(pc.is_in(places, rows), pa.scalar(None, values.type), values)
            table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), kept)
        return table.filter(pc.invert(pc.is_in(places, self.rows))) if len(self.rows) else table


class Faults:
    """Looks through the records of a group for what does not fit ``schema``."""

    def __init__(self, place: Path, schema: Schema, policy: Literal["reject", "null", "fail"]) -> None:
        self._place = place
        self._schema = schema
        self._policy = policy
        self._fallible = [column for column in schema if column.type not in {STRING, JSON}]
        self._readings = [(column.name, textual(column.type, SPELLING)) for column in schema]

    def find(self, database: Database, group: Group) -> Found:
        """Raises DataError SRC-277 for the first fault where the policy is fail."""
        table = self._faulty(database, group)
        starts = _starts(group)
        rows = pc.add(pc.take(starts, table.column("page_at")), table.column("at")).combine_chunks()
        nulled: dict[str, pa.Array] = {}
        gone = table.column("is_none").combine_chunks()
        if self._policy == "null":
            for at, column in enumerate(self._fallible):
                nulled[column.name] = rows.filter(table.column(f"bad{at}").combine_chunks())
        else:
            gone = pa.array([True] * len(rows), pa.bool_())
        rejected = table.filter(gone)
        if rejected.num_rows and self._policy == "fail":
            raise _failure(rejected)
        return Found(rows.filter(gone), _rejects(rejected), {name: rows for name, rows in nulled.items() if len(rows)})

    def _faulty(self, database: Database, group: Group) -> pa.Table:
        query = self._query(group).sql(dialect="duckdb")
        return with_long_numbers(group, lambda pages: database.table(query, {PAGES: pages}))

    def _query(self, group: Group) -> exp.Select:
        """One row per faulty record: page and record (0-based), whether it is none, per column whether it is bad, and
        the columns of a reject.
        """
        record = exp.column("record")
        listed = records_of(self._place, group.shape, "JSON")
        in_texts = records_of(self._place, group.shape, structure_of(self._readings))
        numbered = exp.select(
            exp.column(NUMBER),
            exp.alias_(exp.func("unnest", listed), "record"),
            exp.alias_(exp.func("unnest", in_texts), "texts"),
            exp.alias_(call("generate_subscripts", listed.copy(), exp.Literal.number(1)), "ordinal"),
        ).from_(PAGES)
        is_none = _is_no(record, "OBJECT")
        bad = [self._bad(name, reading) for name, reading in self._readings if reading.kind not in {STRING, JSON}]
        flags = [exp.alias_(flag, f"bad{at}") for at, flag in enumerate(bad)]
        flagged = exp.select("*", exp.alias_(is_none, "is_none"), *flags).from_(numbered.subquery("numbered"))
        faulty = exp.or_("is_none", *(exp.column(f"bad{at}") for at in range(len(bad))))
        first = exp.Literal.number(group.entries[0].number)
        return (
            exp.select(
                exp.alias_(exp.Sub(this=exp.column(NUMBER), expression=first), "page_at"),
                exp.alias_(exp.Sub(this=exp.column("ordinal"), expression=exp.Literal.number(1)), "at"),
                "is_none",
                *(f"bad{at}" for at in range(len(bad))),
                exp.alias_(_position(), "position"),
                exp.alias_(when(exp.Not(this=exp.column("is_none")), exp.cast(record, "text")), "row"),
                exp.alias_(when(exp.column("is_none"), _text_of(record)), "raw"),
                exp.alias_(self._causes(), "causes"),
            )
            .from_(flagged.subquery("flagged"))
            .where(faulty)
        )

    def _bad(self, name: str, reading: Reading) -> exp.Expr:
        text = reading.text(exp.Dot(this=exp.column("texts"), expression=identifier(name)))
        value = reading.value(text.copy(), tried=True)
        misfit = _bad(_member(exp.column("record"), name), value, reading.kind, 0)
        differs = reading.differs(text, value, tried=True)
        if differs is None:
            return misfit
        return exp.paren(exp.or_(misfit, call("coalesce", differs, exp.false())))

    def _causes(self) -> exp.Expr:
        none = _cause("not_an_object", exp.null(), exp.Literal.string("a record of the listing is no JSON object"))
        causes = [when(exp.column("is_none"), none)]
        for at, column in enumerate(self._fallible):
            shown = exp.Left(
                this=_text_of(_member(exp.column("record"), column.name)), expression=exp.Literal.number(_SHOWN)
            )
            message = exp.Concat(
                expressions=[exp.Literal.string(f'"{column.name}" is no {column.type}: '), shown],
                safe=True,
                coalesce=True,
            )
            cause = _cause("bad_value", exp.Literal.string(column.name), message)
            met = exp.and_(exp.Not(this=exp.column("is_none")), exp.column(f"bad{at}"))
            causes.append(when(met, cause))
        each = exp.to_identifier("cause")
        present = exp.Lambda(this=is_not_null(exp.column("cause")), expressions=[each])
        return call("list_filter", exp.Array(expressions=causes), present)


# ---------------------------------------------------------------- pieces of SQL


def _member(record: exp.Expr, name: str) -> exp.Expr:
    return call("json_extract", record.copy(), exp.Literal.string(pointer((name,))))


def _kind(value: exp.Expr) -> exp.Expr:
    """``NULL`` for JSON's null and for what is not there."""
    return call("coalesce", call("json_type", value.copy()), exp.Literal.string("NULL"))


def _is_no(value: exp.Expr, kind: str) -> exp.Expr:
    return exp.NEQ(this=_kind(value), expression=exp.Literal.string(kind))


def _text_of(value: exp.Expr) -> exp.Expr:
    """JSON as text; what is not there as ``null``."""
    return call("coalesce", exp.cast(value.copy(), "text"), exp.Literal.string("null"))


def _position() -> exp.Expr:
    parts = [exp.Literal.string("page"), exp.column(NUMBER), exp.Literal.string("record"), exp.column("ordinal")]
    return exp.cast(call("json_object", *parts), "text")


def _cause(code: str, column: exp.Expr, message: exp.Expr) -> exp.Expr:
    members = {"code": exp.Literal.string(code), "column": exp.cast(column, "text"), "message": message}
    return struct(members)


def _bad(raw: exp.Expr, typed: exp.Expr, kind: LogicalType, level: int, *, nullable: bool = True) -> exp.Expr:
    """Whether the JSON value is there and did not become what it should in the typed one, or is not there and must be."""
    there = _is_no(raw, "NULL")
    lost: exp.Expr = is_null(typed)
    wrong: exp.Expr
    match kind:
        case Primitive() | Decimal():
            wrong = exp.false() if kind in {STRING, JSON} else lost
            if kind in {FLOAT32, FLOAT64}:
                finite = call("coalesce", call("isfinite", typed.copy()), exp.true())
                wrong = exp.or_(lost, exp.and_(exp.Not(this=finite), _is_no(raw, "VARCHAR")))
        case List():
            inside = _any_place(
                typed.copy(),
                lambda at: call("json_extract", raw.copy(), at),
                kind=kind.element,
                level=level,
                nullable=kind.element_nullable,
            )
            wrong = exp.or_(_is_no(raw, "ARRAY"), lost, inside)
        case Map():
            members = call("json_extract", raw.copy(), exp.Literal.string("$.*"))
            inside = _any_place(
                call("map_values", typed.copy()),
                lambda at: call("list_extract", members.copy(), _next(at)),
                kind=kind.value,
                level=level,
                nullable=kind.value_nullable,
            )
            wrong = exp.or_(_is_no(raw, "OBJECT"), lost, inside)
        case Struct():
            parts = [
                _bad(
                    _member(raw, item.name),
                    member(typed.copy(), (item.name,)),
                    item.type,
                    level,
                    nullable=item.nullable,
                )
                for item in kind.fields
            ]
            wrong = exp.or_(_is_no(raw, "OBJECT"), lost, *parts)
        case _:
            assert_never(kind)
    bad = exp.paren(exp.and_(there, exp.paren(wrong)))
    return bad if nullable else exp.paren(exp.or_(exp.Not(this=exp.paren(there.copy())), bad))


def _next(at: exp.Expr) -> exp.Expr:
    return exp.Add(this=at, expression=exp.Literal.number(1))


def _any_place(
    values: exp.Expr, raw_at: Callable[[exp.Expr], exp.Expr], *, kind: LogicalType, level: int, nullable: bool
) -> exp.Expr:
    """Whether any place of a list is bad; the list is as long as the JSON's own."""
    if nullable and kind in {STRING, JSON}:
        return exp.false()
    name = f"at{level}"
    at = exp.column(name)
    inside = _bad(raw_at(at.copy()), call("list_extract", values, _next(at.copy())), kind, level + 1, nullable=nullable)
    length = call("coalesce", call("len", values.copy()), exp.Literal.number(0))
    tested = call(
        "list_transform", call("range", length), exp.Lambda(this=inside, expressions=[exp.to_identifier(name)])
    )
    return call("coalesce", call("list_bool_or", tested), exp.false())


# ---------------------------------------------------------------- outcomes


def with_long_numbers(group: Group, ask: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """What ``ask`` makes of the pages, whose long numbers stand in quotes so that none of their digits is lost."""
    import duckdb

    bodies = [group.content[start:end] for start, end in pairwise(group.ends)]
    first = group.entries[0].number
    try:
        return ask(pages_table([quoted(body) for body in bodies], first))
    except duckdb.Error:
        return ask(pages_table([quoted_with_care(body) for body in bodies], first))


def _starts(group: Group) -> pa.Array:
    """The place of each page's first record among the group's records."""
    starts = [0]
    for entry in group.entries:
        starts.append(starts[-1] + entry.records)
    return pa.array(starts[:-1], pa.int64())


def _rejects(table: pa.Table) -> pa.RecordBatch:
    columns = table.select(list(REJECTS.names)).combine_chunks().to_batches()
    empty = pa.RecordBatch.from_pylist([], schema=table.select(list(REJECTS.names)).schema)
    return conform(pa.concat_batches(columns) if columns else empty, REJECTS)


def _failure(rejected: pa.Table) -> DataError:
    position = rejected.column("position")[0].as_py()
    cause = rejected.column("causes")[0].as_py()[0]
    return DataError(
        "SRC-277",
        str(cause["message"]),
        detail=f"at {position}; {rejected.num_rows} records of these pages are like that",
        hint="on_bad_value: reject sets such records aside, null takes null for such values",
    )


__all__ = ["REJECTS", "SPELLING", "Faults", "Found", "with_long_numbers"]
