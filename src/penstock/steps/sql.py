"""One SELECT of the author's own over the rows that come in, which it calls `this`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from penstock.fields import Located
from penstock.graph.nodes import Query
from penstock.registry import Descriptor
from penstock.steps.params import StepParams

if TYPE_CHECKING:
    from penstock.steps.api import Scope


def _text(value: object) -> Located:
    if not isinstance(value, Located) or not value.strip():
        raise ValueError("takes one SELECT")
    return value.for_sql()


SqlText = Annotated[Located, PlainValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]


class SqlParams(StepParams):
    """``sql: "select … from this"``."""

    short: ClassVar[str | None] = "query"

    query: SqlText = Field(description="One SELECT in DuckDB's dialect over the table `this`.")


def make(params: SqlParams, scope: Scope) -> str:
    """One Query: in, out."""
    tree = scope.query(params.query)
    return scope.add(Query(scope.node_id(), tables={"this": scope.input}, query=tree, at=params.query.at), params.query)


SQL = Descriptor(
    name="sql",
    group="steps",
    summary="One SELECT over the rows that come in.",
    params=SqlParams,
    make=make,
    example="sql: select crude, max(price_usd) as highest from this group by crude",
    short="query",
    notes=(
        "It reads `this` and nothing else: other nodes are joined with `join`, or read by a transform's own `sql:`.",
        "What it leaves to chance (a LIMIT without an order, first() without one) may differ from run to run.",
    ),
)
