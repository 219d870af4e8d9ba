"""No two rows have the same values in the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import Field
from sqlglot import exp

from penstock.fields import Names, SortTexts
from penstock.graph.select import order
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.params import AcrossRowsParams
from penstock.steps.collect import each, together
from penstock.steps.ties import first_of
from penstock.trees import is_not_null

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope

NOTES: Final = (
    "With `order_by` the first row of a group passes, without one the whole group is rejected.",
    "Rows that the order leaves equal are told apart by their other columns, so that every run passes the same one.",
    "All rows that come in are looked at together, those too that another rule of the place rejects.",
    (
        "With `scope: epoch` nothing is compared over epochs, and a replay is an epoch of its own: a duplicate that is sent "
        "again by itself passes, and stands beside the row that it doubles. Repair it, or merge by the columns."
    ),
    "NaN equals NaN; texts are compared to the letter.",
)


class UniqueParams(AcrossRowsParams):
    """``unique: [crude, price_date]``."""

    short: ClassVar[str | None] = "columns"

    columns: Names = Field(description="The columns that tell rows apart.")
    order_by: SortTexts = Field(default=(), description="Which row of a group is the first, such as `revised_at desc`.")


def make(params: UniqueParams, scope: Scope) -> Sequence[Violation]:
    """One violation. Raises ConfigError CMP-203 and what an order may have wrong."""
    with together() as part:
        with part():
            columns = each(params.columns, scope.column)
        with part():
            sorting = [order(key) for key in scope.sort_keys(params.order_by)]
    return (repeated(scope, columns, sorting),)


def repeated(scope: Scope, columns: Sequence[exp.Column], sorting: Sequence[exp.Ordered]) -> Violation:
    """The row has the key of another one, none of its parts null, and is not the first by the order."""
    if sorting:
        other: exp.Expr = exp.Not(this=scope.mark(first_of(scope.schema, columns, sorting)))
    else:
        count = exp.Window(this=exp.Count(this=exp.Star()), partition_by=[item.copy() for item in columns])
        other = scope.mark(exp.GT(this=count, expression=exp.Literal.number(1)))
    names = ", ".join(item.name for item in columns)
    rank = "is not the first of several rows" if sorting else "is one of several rows"
    message = exp.Literal.string(f"it {rank} with the same ({names})")
    violated = exp.and_(*(is_not_null(item) for item in columns), other)
    return Violation(violated, message, columns[0].name if len(columns) == 1 else None)


UNIQUE = Descriptor(
    name="unique",
    group="rules",
    dimension="uniqueness",
    summary="No two rows have the same values in the columns.",
    params=UniqueParams,
    make=make,
    example="unique: {columns: [crude, price_date], order_by: revised_at desc}",
    short="columns",
    notes=("A row with a null in one of the columns passes.", *NOTES),
)
