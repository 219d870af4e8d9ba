"""A user's ``sql``: one SELECT by its syntax tree, over names of the document and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from penstock.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.errors import Location
    from penstock.fields import Located

# Table functions that only make rows of their arguments; every other one could read files or settings.
_HARMLESS: Final = frozenset({"unnest", "range", "generate_series", "values"})


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """``tables``: every name of the document that it reads, with the place of the first mention."""

    tree: exp.Query
    tables: Mapping[str, Location | None]


def read_query(text: Located, known: Sequence[str]) -> ParsedQuery:
    """Raises ConfigError CMP-207 (not parsed), CMP-224 (not one SELECT), CMP-225 (unknown table), CMP-226 (a table
    function that may read what the pipeline does not declare), CMP-213 (a WITH that hides a node's name).
    """
    tree = _parse(text)
    local = _with_names(tree, text, known)
    tables: dict[str, Location | None] = {}
    for table in tree.find_all(exp.Table):
        name = _table_name(table, text)
        if name is None or (name in local and name not in known):
            continue
        if name not in known:
            near = nearest(name, known)
            raise ConfigError(
                "CMP-225",
                f'there is no node "{name}"',
                at=place_in(table, text),
                hint=f'did you mean "{near}"?' if near else None,
                detail=f"known nodes: {', '.join(known)}.",
            )
        tables.setdefault(name, place_in(table, text))
    return ParsedQuery(tree, tables)


def _parse(text: Located) -> exp.Query:
    try:
        trees = [tree for tree in sqlglot.parse(str(text), dialect="duckdb") if tree is not None]
    except SqlglotError as error:
        first = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
        near = str(first.get("highlight") or "")
        offset = max(text.find(near), 0) if near else 0
        words = str(first.get("description") or error).splitlines()[0].strip().rstrip(".")
        raise ConfigError(
            "CMP-207", "the query cannot be parsed", at=text.place(offset, max(len(near), 1)), detail=words
        ) from None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise ConfigError("CMP-224", "`sql` is one SELECT, nothing before and nothing after it", at=text.at)
    for kind in (exp.DML, exp.DDL, exp.Command, exp.Into):
        found = trees[0].find(kind)
        if found is not None and not isinstance(found, exp.Query):
            raise ConfigError("CMP-224", "`sql` only selects: it changes nothing", at=place_in(found, text))
    return trees[0]


def _with_names(tree: exp.Query, text: Located, known: Sequence[str]) -> frozenset[str]:
    names = set()
    for part in tree.find_all(exp.CTE):
        if part.alias in known:
            raise ConfigError(
                "CMP-213",
                f'the WITH name "{part.alias}" hides the node of that name',
                at=place_in(part.args.get("alias") or part, text),
                hint="give it another name",
            )
        names.add(part.alias)
    return frozenset(names)


def _table_name(table: exp.Table, text: Located) -> str | None:
    """The bare name; None for a harmless table function."""
    inner = table.this
    if isinstance(inner, exp.Identifier) and not table.args.get("db"):
        return inner.name
    if isinstance(inner, (exp.Func, exp.Unnest)):
        called = inner.name if isinstance(inner, exp.Anonymous) else inner.sql_name()
        if called.lower() in _HARMLESS:
            return None
    raise ConfigError(
        "CMP-226",
        f'"{table.sql(dialect="duckdb")[:60]}" may not be read here',
        at=place_in(table, text),
        detail="a query reads nodes of the document; files and systems are sources.",
    )


def place_in(node: exp.Expr, text: Located) -> Location:
    """Where a part of the query stands in the document."""
    for part in node.find_all(exp.Identifier, exp.Func, bfs=True):
        start, end = part.meta.get("start"), part.meta.get("end")
        if start is not None and end is not None:
            return text.place(start, end - start + 1)
    return text.at
