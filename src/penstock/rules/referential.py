"""Every key is one that another node has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from sqlglot import exp

from penstock.fields import Name, Names
from penstock.registry import Descriptor
from penstock.rules.api import Violation
from penstock.rules.params import AcrossRowsParams
from penstock.rules.values import column_of, same_kind
from penstock.steps.collect import each
from penstock.trees import is_not_null

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope


class ReferentialParams(AcrossRowsParams):
    """``referential: {columns: customer_id, to: customers, on: id}``."""

    columns: Names = Field(description="The columns of the key.")
    to: Name = Field(description="The other node: a source, a transform, or a sink, whose table is then read.")
    on: Names = Field(default=(), description="The other node's columns, in the same order; of the same names unsaid.")


def make(params: ReferentialParams, scope: Scope) -> Sequence[Violation]:
    """One violation. Raises ConfigError CMP-201, CMP-203, CMP-242 (keys of different kinds), CMP-373 (as many columns on
    either side).
    """
    columns = each(params.columns, scope.column)
    names = params.on or params.columns
    if len(names) != len(columns):
        scope.fail(
            "CMP-373",
            f"a key of {len(columns)} columns is compared with {len(names)}",
            at=names[0],
            hint="`on` names the other node's columns, one for each of `columns`",
        )
    node = scope.resolve(params.to)
    others = each(names, lambda name: column_of(scope, node, params.to, name))
    for column, other in zip(columns, others, strict=True):
        same_kind(scope, column, node, other)
    known = scope.known(columns, node, others)
    listed = ", ".join(item.name for item in columns)
    violated = exp.and_(*(is_not_null(item) for item in columns), exp.Not(this=known))
    message = exp.Literal.string(f'"{params.to}" has no row with its ({listed})')
    return (Violation(violated, message, columns[0].name if len(columns) == 1 else None),)


REFERENTIAL = Descriptor(
    name="referential",
    group="rules",
    dimension="consistency",
    summary="Every key is one that another node has.",
    params=ReferentialParams,
    make=make,
    example="referential: {columns: customer_id, to: customers, on: id}",
    notes=(
        "A row with a null in one of the columns passes.",
        "A sink's name means its table as of this epoch's own commit.",
    ),
)
