"""A user's ``sql``: one SELECT by its syntax tree, over names of the document and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from penstock.compile.brackets import unclosed
from penstock.errors import ConfigError, nearest
from penstock.structs import Frozen
from penstock.trees import complaint, identifier
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.errors import Location
    from penstock.fields import Located

# Table functions that only make rows of their arguments; every other one could read files or settings.
_HARMLESS: Final = frozenset({"unnest", "range", "generate_series", "values", "json_each", "json_tree"})
# What a SELECT may begin with; anything else is not even parsed.
_BEGINNINGS: Final = frozenset({"SELECT", "WITH", "FROM", "("})
_STATEMENTS: Final = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Describe, exp.Summarize, exp.Show, exp.Lock)
_RELATIONS: Final = (exp.Table, exp.Subquery, exp.Unnest, exp.Lateral, exp.Values)
_TABLE_PARTS: Final = frozenset({"this", "alias", "joins", "laterals", "pivots", "sample"})


class ParsedQuery(Frozen):
    """``tables``: every name of the document that it reads, with the place of the first mention. In the tree each of them
    stands as the document spells it.
    """

    tree: exp.Query
    tables: Mapping[str, Location | None]


def read_query(text: Located, known: Sequence[str], *, taken: Sequence[str] = ()) -> ParsedQuery:
    """``known`` are the names it may read, ``taken`` further ones that no WITH may have. Raises ConfigError CMP-207 (not parsed), CMP-208 (a placeholder of SQL), CMP-213 (a WITH that hides a node's name),
    CMP-224 (not one SELECT), CMP-225 (unknown table), CMP-226 (a table function, file or schema that the pipeline does
    not declare).
    """
    tree = _parse(text)
    _check_relations(tree, text)
    nodes = {fold_case(name): name for name in known}
    local = _with_names(tree, text, {*nodes, *map(fold_case, taken)})
    tables: dict[str, Location | None] = {}
    for table in tree.find_all(exp.Table):
        name = _table_name(table, text)
        if name is None or fold_case(name) in local:
            continue
        exact = nodes.get(fold_case(name))
        if exact is None:
            raise _unknown(name, known, place_in(table, text))
        tables.setdefault(exact, place_in(table, text))
        if exact != name:
            table.set("this", identifier(exact))
    return ParsedQuery(tree, tables)


def _unknown(name: str, known: Sequence[str], at: Location) -> ConfigError:
    near = nearest(name, known)
    return ConfigError(
        "CMP-225",
        f'there is no node "{name}"',
        at=at,
        hint=f'did you mean "{near}"?' if near else None,
        detail=f"a query reads nodes of the document: {', '.join(known)}.",
    )


def _parse(text: Located) -> exp.Query:
    try:
        tokens = sqlglot.tokenize(str(text), dialect="duckdb")
        if tokens and tokens[0].text.upper() not in _BEGINNINGS:
            raise ConfigError("CMP-224", "`sql` is one SELECT, and begins with it", at=text.at)
        trees = [tree for tree in sqlglot.parse(str(text), dialect="duckdb") if tree is not None]
    except (SqlglotError, RecursionError) as error:
        first = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
        near = str(first.get("highlight") or "")
        offset = max(text.find(near), 0) if near else 0
        raise ConfigError(
            "CMP-207",
            "the query cannot be parsed",
            at=text.place(offset, max(len(near), 1)),
            detail=complaint(error) if isinstance(error, SqlglotError) else "it is nested too deeply",
        ) from None
    open_at = unclosed(tokens)
    if open_at is not None:
        raise ConfigError("CMP-207", "a bracket is not closed", at=text.place(open_at, 1))
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise ConfigError("CMP-224", "`sql` is one SELECT, nothing before and nothing after it", at=text.at)
    found = next((part for part in trees[0].find_all(*_STATEMENTS) if not isinstance(part, exp.Query)), None)
    if found is not None:
        raise ConfigError("CMP-224", "`sql` only selects: it changes and describes nothing", at=place_in(found, text))
    return trees[0]


def _check_relations(tree: exp.Query, text: Located) -> None:
    """Nothing but tables, subqueries and lists stands where rows come from; no value comes from outside."""
    for part in tree.find_all(exp.From, exp.Join):
        if not isinstance(part.this, _RELATIONS):
            raise _may_not_be_read(part, text)
    for pivot in tree.find_all(exp.Pivot):
        found = () if pivot.args.get("unpivot") or pivot.args.get("fields") else pivot.expressions
        if not all(isinstance(item, exp.In) for item in found):
            raise ConfigError(
                "CMP-224",
                "a PIVOT inside a query names its values",
                at=place_in(pivot, text),
                detail="its columns would be known only after reading.",
                hint="write `pivot … on column in ('a', 'b') …`, or use the step `pivot`",
            )
    for part in tree.find_all(exp.Placeholder, exp.Parameter):
        raise ConfigError(
            "CMP-208",
            "a placeholder of SQL cannot stand in a query",
            at=place_in(part, text),
            hint="use ${param.NAME}",
        )


def _with_names(tree: exp.Query, text: Located, nodes: set[str]) -> frozenset[str]:
    names = set()
    for part in tree.find_all(exp.CTE):
        name = fold_case(part.alias)
        if name in nodes:
            raise ConfigError(
                "CMP-213",
                f'the WITH name "{part.alias}" hides the node of that name',
                at=place_in(part.args.get("alias") or part, text),
                hint="give it another name",
            )
        if "." in name:  # as the names of nodes inside a statement have
            raise ConfigError(
                "CMP-213",
                f'the WITH name "{part.alias}" holds a dot',
                at=place_in(part, text),
                hint="leave out the dot",
            )
        names.add(name)
    return frozenset(names)


def _table_name(table: exp.Table, text: Located) -> str | None:
    """The bare name; None for a harmless table function."""
    inner = table.this
    plain = not any(value for name, value in table.args.items() if name not in _TABLE_PARTS)
    if isinstance(inner, exp.Identifier) and plain and not {"/", "."} & set(inner.name):
        return inner.name
    if isinstance(inner, (exp.Func, exp.Unnest)):
        called = inner.name if isinstance(inner, exp.Anonymous) else inner.sql_name()
        if called.lower() in _HARMLESS:
            return None
    raise _may_not_be_read(table, text)


def _may_not_be_read(part: exp.Expr, text: Located) -> ConfigError:
    return ConfigError(
        "CMP-226",
        f'"{part.sql(dialect="duckdb")[:60]}" may not be read here',
        at=place_in(part, text),
        detail="a query reads nodes of the document; files and systems are sources.",
    )


def place_in(node: exp.Expr, text: Located) -> Location:
    """Where a part of the query stands in the document."""
    for part in node.find_all(exp.Identifier, exp.Func, bfs=True):
        start, end = part.meta.get("start"), part.meta.get("end")
        if start is not None and end is not None:
            return text.place(start, end - start + 1)
    return text.at
