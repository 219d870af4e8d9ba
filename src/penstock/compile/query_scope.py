"""A user's SELECT with its names qualified, as scopes: what each name stands for, as far as that can be known here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlglot.optimizer.scope import Scope

_BEYOND: Final = (exp.Pivot, exp.TableSample, exp.Lateral, exp.TableColumn)


def scope_of(query: exp.Query, columns: Mapping[str, Collection[str]]) -> Scope | None:
    """Of a copy of the query, over tables with these columns; None where it is beyond this analysis."""
    schema: dict[str, object] = {name: dict.fromkeys(names, "TEXT") for name, names in columns.items()}
    try:
        tree = qualify(
            query.copy(), schema=schema, dialect="duckdb", quote_identifiers=False, validate_qualify_columns=False
        )
        scope = build_scope(tree)
    except (SqlglotError, KeyError, RecursionError):
        return None
    return None if any(True for _ in tree.find_all(*_BEYOND)) else scope
