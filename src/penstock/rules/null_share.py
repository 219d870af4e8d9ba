"""Not too many values of the columns are null."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from sqlglot import exp

from penstock.fields import Names, Share
from penstock.graph.nodes import Column
from penstock.registry import Descriptor
from penstock.rules.api import TableViolation
from penstock.rules.figures import null_share, per_cent
from penstock.rules.params import TableRuleParams
from penstock.steps.collect import each
from penstock.trees import call, column, when

if TYPE_CHECKING:
    from penstock.rules.api import Scope


class NullShareParams(TableRuleParams):
    """``null_share: {columns: [price_usd, crude], max: 5 %}``."""

    columns: Names = Field(description="The columns, each by itself.")
    max: Share = Field(description="The largest share of rows that may be null there.")


def make(params: NullShareParams, scope: Scope) -> TableViolation:
    """Per column the share of rows (0 to 1) that are null there. Raises ConfigError CMP-203."""
    found = each(params.columns, scope.column)
    shares = {item.name: column(f"null share of {item.name}") for item in found}
    most = exp.Cast(this=exp.Literal.number(str(params.max)), to=exp.DataType.build("double"))
    over = {name: exp.GT(this=share, expression=most.copy()) for name, share in shares.items()}
    told = [when(over[name], _told(name, share)) for name, share in shares.items()]
    limit = f", and should be at most {(params.max * 100).normalize():f} %"
    message = exp.Concat(
        expressions=[call("concat_ws", exp.Literal.string(", "), *told), exp.Literal.string(limit)],
        safe=True,
        coalesce=True,
    )
    measures = tuple(Column(share.name, null_share(item)) for item, share in zip(found, shares.values(), strict=True))
    return TableViolation(measures, exp.or_(*over.values()), message)


def _told(name: str, share: exp.Column) -> exp.Expr:
    words = [per_cent(share.copy()), exp.Literal.string(f' of "{name}" is null')]
    return exp.Concat(expressions=words, safe=True, coalesce=True)


NULL_SHARE = Descriptor(
    name="null_share",
    group="rules",
    dimension="completeness",
    summary="Not too many values of the columns are null.",
    params=NullShareParams,
    make=make,
    example="null_share: {columns: price_usd, max: 5 %}",
    notes=("Without a row nothing is null. The rows of one epoch are looked at, as they come in.",),
)
