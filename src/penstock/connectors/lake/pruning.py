"""Which files can hold rows for which a predicate over partition columns is true, and which predicates are such."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.database import open_database
from penstock.trees import column, conjuncts, relation, unused_name
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Collection

    from penstock.connectors.api import Allowance
    from penstock.connectors.lake.tables import DataFile, LakeTable

# What a predicate may consist of: nothing that reads other tables, calls functions, or answers differently next time.
_ALLOWED: Final = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.Paren,
    exp.And,
    exp.Or,
    exp.Not,
    exp.EQ,
    exp.NEQ,
    exp.LT,
    exp.LTE,
    exp.GT,
    exp.GTE,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.Is,
    exp.In,
    exp.Between,
    exp.Neg,
    exp.Cast,
    exp.DataType,
    exp.DataTypeParam,
)


def decides(predicate: exp.Expr, partition_by: Collection[str]) -> bool:
    """Whether the values of these columns alone decide the predicate."""
    names = {found.name for found in predicate.find_all(exp.Column)}
    plain = all(isinstance(node, _ALLOWED) for node in predicate.walk())
    return plain and bool(names) and names <= set(partition_by)


def kept(table: LakeTable, predicate: exp.Expr, *, allowance: Allowance) -> tuple[DataFile, ...]:
    """The files in whose rows the decidable parts of the predicate are true, in the table's order."""
    parts = [part for part in conjuncts(predicate) if decides(part, table.partition_by)]
    if not parts or not table.files:
        return tuple(table.files)
    import pyarrow as pa

    from penstock.types.arrow import to_arrow

    names = table.partition_by
    values = [
        pa.array([file.partition[name] for file in table.files], to_arrow(table.schema[name].type)) for name in names
    ]
    place = unused_name("place", names)
    listed = pa.table([pa.array(range(len(table.files))), *values], names=[place, *names])
    query = exp.select(column(place)).from_(relation("listed"))
    typed = {name: exp.Cast(this=column(name), to=to_duckdb(table.schema[name].type)) for name in names}
    for part in parts:
        query = query.where(part.transform(lambda node: _typed(node, typed)))
    with closing(open_database(allowance)) as connection:
        connection.register("listed", listed)
        chosen = {found for (found,) in connection.execute(query.sql(dialect="duckdb")).fetchall()}
    return tuple(file for number, file in enumerate(table.files) if number in chosen)


def _typed(node: exp.Expr, typed: dict[str, exp.Cast]) -> exp.Expr:
    return typed[node.name].copy() if isinstance(node, exp.Column) else node
