"""The author's own SELECT: one statement that reads, and stands as a table in ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp, parse
from sqlglot.dialects.dialect import Dialect as Grammar
from sqlglot.errors import SqlglotError

from penstock.errors import ConfigError
from penstock.trees import complaint

if TYPE_CHECKING:
    import sqlalchemy as sa

    from penstock.connectors.sqlalchemy.dialects import Dialect

_WRITES: Final = (exp.DDL, exp.DML, exp.Into, exp.Command, exp.Lock)
ALIAS: Final = "penstock_query"


def as_table(text: str, backend: str, dialect: Dialect) -> sa.FromClause:
    """What stands after FROM. Raises ConfigError SRC-385 for what is not one SELECT."""
    import sqlalchemy as sa

    _check(text, backend, dialect)
    # SQLAlchemy takes a word behind a colon for a parameter of ours.
    plain = text.strip().rstrip(";").replace(":", "\\:")
    query: Any = sa.text(f"{plain}\n").columns()
    found: sa.FromClause = query.subquery(ALIAS)
    return found


def _check(text: str, backend: str, dialect: Dialect) -> None:
    known = dialect.sqlglot or (backend if backend in Grammar.classes else None)
    try:
        trees = [tree for tree in parse(text, dialect=known) if tree is not None]
    except SqlglotError as error:
        raise ConfigError(
            "SRC-385",
            "the query is not understood",
            detail=complaint(error),
            hint="what only the database understands can stand in a view, whose name is then the `table`",
            about=("query",),
        ) from None
    found = trees[0] if len(trees) == 1 else None
    if not isinstance(found, exp.Query) or any(found.find(kind) is not None for kind in _WRITES):
        raise ConfigError(
            "SRC-385", "the query is not one SELECT", hint="a source reads; write one SELECT", about=("query",)
        )
