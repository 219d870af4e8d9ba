"""Columns of a listing: found in its first page where nobody stated them.

Text stays text (a later page may hold what is no date), whole numbers are int64, other numbers float64, true and false
boolean, objects structs, lists lists; what is null throughout or of several kinds is json. Every column is nullable.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.rest.database import PAGES, pages_table
from penstock.connectors.rest.shape import records_of
from penstock.errors import ConfigError
from penstock.trees import call
from penstock.types import BOOLEAN, FLOAT64, INT64, JSON, STRING, Field, List, Schema, Struct, StructField
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from penstock.connectors.api import Contract
    from penstock.connectors.rest.database import Database
    from penstock.connectors.rest.inspection import ReadPage
    from penstock.connectors.rest.path import Path
    from penstock.types import LogicalType

_SIMPLE: Final[dict[str, LogicalType]] = {
    **dict.fromkeys(("UBIGINT", "BIGINT", "HUGEINT", "UHUGEINT"), INT64),
    "DOUBLE": FLOAT64,
    "BOOLEAN": BOOLEAN,
    "VARCHAR": STRING,
}
_DEEPEST: Final = 20  # deeper values are json


def described(database: Database, place: Path, read: ReadPage, contract: Contract | None, name: str) -> Schema:
    """The columns that the source delivers, all nullable: those of the contract in its types, and what else it wants.

    A nullable column of the contract that the first page lacks is taken to be left out where it is null; one that may not
    be null is missing. Raises ConfigError SRC-279 where nothing says which columns there are, SRC-112 where names differ
    in case only.
    """
    found = _inferred(database, place, read)
    if contract is None:
        if not len(found):
            message = f'nothing says which columns "{name}" has: its first page holds no records'
            raise ConfigError("SRC-279", message, hint="state its schema")
        return _checked(found, name)
    empty = read.contents.records == 0
    stated = [
        Field(column.name, column.type)
        for column in contract.schema
        if empty or column.nullable or column.name in found
    ]
    extra = [] if contract.on_new_column == "ignore" else [item for item in found if item.name not in contract.schema]
    if not (stated or extra):
        raise ConfigError(
            "SRC-279",
            f'the first page of "{name}" has none of the columns of its schema',
            detail=f"its records have {', '.join(found.names[:20]) or 'no columns'}",
        )
    return _checked(Schema((*stated, *extra)), name)


def _inferred(database: Database, place: Path, read: ReadPage) -> Schema:
    if not read.contents.records:
        return Schema()
    listed = records_of(place, read.contents.shape, "JSON")
    records = exp.select(exp.alias_(exp.func("unnest", listed), "record")).from_(PAGES).subquery("records")
    record = exp.column("record")
    is_object = exp.EQ(this=call("json_type", record), expression=exp.Literal.string("OBJECT"))
    structure = call("json_group_structure", record)
    query = exp.select(exp.cast(structure, "text")).from_(records).where(is_object)
    ((text,),) = database.rows(query.sql(dialect="duckdb"), {PAGES: pages_table([read.page.body])})
    columns = json.loads(str(text)) if text is not None else {}
    if not isinstance(columns, dict):
        return Schema()
    return Schema(tuple(Field(column, _type_of(kind, 1)) for column, kind in columns.items() if column))


def _type_of(kind: object, depth: int) -> LogicalType:
    match kind:
        case str():
            return _SIMPLE.get(kind, JSON)
        case [element] if depth < _DEEPEST:
            return List(_type_of(element, depth + 1))
        case dict() if kind and depth < _DEEPEST and _are_names(kind):
            return Struct(tuple(StructField(name, _type_of(inner, depth + 1)) for name, inner in kind.items()))
        case _:
            return JSON


def _are_names(members: dict[str, object]) -> bool:
    """Whether an object's keys may be fields: the engine knows no empty names, and none that differ in case only."""
    return all(members) and len({fold_case(name) for name in members}) == len(members)


def _checked(schema: Schema, name: str) -> Schema:
    for one, other in schema.case_collisions():
        raise ConfigError("SRC-112", f'the columns "{one}" and "{other}" of "{name}" differ in case only')
    return schema
