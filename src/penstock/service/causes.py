"""Rejected rows grouped by what was wrong with them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.ledger.api import RejectFile


def by_cause(files: Iterable[RejectFile]) -> list[dict[str, Any]]:
    """Rows by node, cause and column, most first. A row with several causes stands under each of them."""
    totals: Counter[tuple[str, str, str | None]] = Counter()
    for file in files:
        for (code, column), rows in file.groups.items():
            totals[file.node, code, column] += rows
    ordered = sorted(totals.items(), key=lambda item: (-item[1], str(item[0])))
    return [{"node": node, "cause": code, "column": column, "rows": rows} for (node, code, column), rows in ordered]
