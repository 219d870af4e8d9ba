"""Rejected rows grouped by what was wrong with them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from penstock.structs import Frozen, asdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.connectors.api import Json
    from penstock.ledger.api import RejectFile
    from penstock.ledger.rejects import Group


def group_name(node: str, group: Group) -> str:
    """As people write it.

    >>> group_name("prices.rules", ("range", "price_usd")), group_name("ice", ("too_few_columns", None))
    ('prices.rules/range/price_usd', 'ice/too_few_columns')
    """
    return "/".join(filter(None, (node, *group)))


class CauseRows(Frozen):
    """How many rows a node rejected for one cause; ``column`` None: the record as a whole."""

    node: str
    cause: str
    column: str | None
    rows: int

    @property
    def name(self) -> str:
        """What commands call the group: ``prices.rules/range/price_usd``."""
        return group_name(self.node, (self.cause, self.column))

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def by_cause(files: Iterable[RejectFile]) -> tuple[CauseRows, ...]:
    """By node, cause and column, most rows first. A row with several causes stands under each of them."""
    totals: Counter[tuple[str, str, str | None]] = Counter()
    for file in files:
        for (code, column), rows in file.groups.items():
            totals[file.node, code, column] += rows
    ordered = sorted(totals.items(), key=lambda item: (-item[1], str(item[0])))
    return tuple(CauseRows(node, code, column, rows) for (node, code, column), rows in ordered)
