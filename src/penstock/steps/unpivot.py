"""Makes rows of columns: one row per named column, with its name and its value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from sqlglot import exp

from penstock.fields import Name, Names
from penstock.graph.nodes import Column, Explode, Project
from penstock.registry import Descriptor
from penstock.steps.collect import each
from penstock.steps.params import StepParams
from penstock.trees import column, field_of, struct, unused_name
from penstock.types.compatibility import widen
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from penstock.steps.api import Scope
    from penstock.types import LogicalType

_PAIR, _NAME, _VALUE = "__pair", "name", "value"


class UnpivotParams(StepParams):
    """The columns that are not named stay beside each of the new rows."""

    columns: Names = Field(description="The columns that become rows, in this order.")
    names_to: Name = Field(default="name", description="The new column that holds the name of the old one.")
    values_to: Name = Field(default="value", description="The new column that holds its value.")


def make(params: UnpivotParams, scope: Scope) -> str:
    """One Explode over (name, value) pairs and one Project that takes them apart: out = in times columns."""
    names = [found.name for found in each(dict.fromkeys(params.columns), scope.column)]
    common = _common(names, scope)
    pairs = exp.Array(expressions=[_pair(name, common) for name in names])
    kept = scope.carried(without=names)
    exploded = scope.add(
        Explode(
            scope.node_id("pairs"),
            input=scope.input,
            value=pairs,
            as_=unused_name(_PAIR, scope.schema.names),
            columns=kept,
        )
    )
    pair = scope.schema_of(exploded).names[-1]
    parts = (
        Column(params.names_to, field_of(column(pair), _NAME), scope.at),
        Column(params.values_to, field_of(column(pair), _VALUE), scope.at),
    )
    return scope.add(Project(scope.node_id(), input=exploded, columns=(*kept, *parts)))


def _common(names: list[str], scope: Scope) -> LogicalType:
    """The type that holds the values of all these columns: CMP-297 where there is none."""
    found = scope.schema[names[0]].type
    for name in names[1:]:
        wider = widen(found, scope.schema[name].type)
        if wider is None:
            scope.fail(
                "CMP-297",
                f'"{names[0]}" and "{name}" cannot stand in one column: {found} and {scope.schema[name].type}',
                hint="cast them to one type in a step before",
            )
        found = wider
    return found


def _pair(name: str, common: LogicalType) -> exp.Expr:
    value = exp.Cast(this=column(name), to=to_duckdb(common))
    return struct({_NAME: exp.Literal.string(name), _VALUE: value})


UNPIVOT = Descriptor(
    name="unpivot",
    group="steps",
    summary="Makes one row of each of the named columns.",
    params=UnpivotParams,
    make=make,
    example="unpivot: {columns: [brent, wti], names_to: crude, values_to: price}",
    notes=(
        "A null value gives a row too: filter it out where it means nothing.",
        "The columns must have a type that holds all their values exactly; else cast them first.",
    ),
)
