"""The columns tell every row from every other, and none of them is null."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.graph.select import order
from penstock.registry import Descriptor
from penstock.rules.not_null import null_in
from penstock.rules.unique import NOTES, UniqueParams, repeated
from penstock.steps.collect import each, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.rules.api import Scope, Violation


class PrimaryKeyParams(UniqueParams):
    """``primary_key: [crude, price_date]``."""


def make(params: PrimaryKeyParams, scope: Scope) -> Sequence[Violation]:
    """One violation per column that may be null, and one of the key. Raises ConfigError as ``unique``."""
    with together() as part:
        with part():
            columns = each(params.columns, scope.column)
        with part():
            sorting = [order(key) for key in scope.sort_keys(params.order_by)]
    return (*map(null_in, columns), repeated(scope, columns, sorting))


PRIMARY_KEY = Descriptor(
    name="primary_key",
    group="rules",
    dimension="uniqueness",
    summary="The columns tell every row from every other, and none of them is null.",
    params=PrimaryKeyParams,
    make=make,
    example="primary_key: [crude, price_date]",
    short="columns",
    notes=NOTES,
)
