"""Keeps one row of each key: the first or the last by an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from penstock.fields import Names, SortTexts
from penstock.graph.nodes import Filter, SortKey
from penstock.graph.select import order
from penstock.registry import Descriptor
from penstock.steps.collect import each, together
from penstock.steps.params import StepParams
from penstock.steps.ties import first_of
from penstock.structs import replace

if TYPE_CHECKING:
    from penstock.steps.api import Scope


class DeduplicateParams(StepParams):
    """Without keys the whole row is the key."""

    short: ClassVar[str | None] = "keys"

    keys: Names = Field(default=(), description="The columns that tell rows apart; all of them where none are named.")
    order_by: SortTexts = Field(default=(), description="The order in which `keep` looks, such as `revised_at`.")
    keep: Literal["first", "last"] = Field(default="first", description="Which row of a key stays.")


def make(params: DeduplicateParams, scope: Scope) -> str:
    """One Filter: in = out + deduplicated. Null keys equal each other."""
    if params.keep == "last" and not params.order_by:
        scope.fail("CMP-289", "`keep: last` needs `order_by`", hint="add `order_by`")
    names = params.keys or scope.schema.names
    with together() as part:
        with part():
            keys = each(names, scope.column)
        with part():
            sorting = scope.sort_keys(params.order_by)
    if params.keep == "last":
        sorting = tuple(_reversed(key) for key in sorting)
    first = first_of(scope.schema, keys, [order(key) for key in sorting])
    return scope.add(Filter(scope.node_id(), input=scope.input, condition=first, why="deduplicate"))


def _reversed(key: SortKey) -> SortKey:
    """Nulls stay at the end that loses: a row of unknown age never wins over one whose age is known."""
    return replace(key, descending=not key.descending, nulls_first=False)


DEDUPLICATE = Descriptor(
    name="deduplicate",
    group="steps",
    summary="Keeps one row of each key.",
    params=DeduplicateParams,
    make=make,
    example="deduplicate: {keys: [crude, price_date], order_by: revised_at, keep: last}",
    short="keys",
    notes=(
        "Rows that the order leaves equal are told apart by their other columns, so that every run keeps the same one.",
        "A row whose order is null loses, unless `nulls first` stands there and the first is kept.",
        "Null keys equal each other; so do NaN and NaN.",
    ),
)
