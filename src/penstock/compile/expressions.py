"""From the text of an expression to a checked tree: one scalar expression, its columns found and quoted.

Parsing places the text behind ``SELECT``, so that a column called "comment" or "date" is not taken for a statement, and
then insists that nothing but one expression came of it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, NoReturn

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import TokenType

from penstock.compile.brackets import unclosed
from penstock.compile.comparisons import check_comparisons
from penstock.compile.lambdas import is_bound, with_arrows
from penstock.errors import ConfigError, Problem, nearest
from penstock.fields import quote_text
from penstock.graph.nodes import SortKey
from penstock.steps.collect import together
from penstock.trees import column as column_of
from penstock.trees import complaint, identifier
from penstock.types.logical import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.errors import Location
    from penstock.fields import ExpressionText
    from penstock.steps.api import Allows
    from penstock.types import LogicalType, Schema

_SELECT: Final = "SELECT "
_ORDER: Final = "SELECT 1 ORDER BY "
_DIRECTIONS: Final = {"descending": "desc", "ascending": "asc"}
# Functions that make several rows of one: only the step `explode` may.
_ROW_MAKERS: Final = frozenset({"unnest", "explode", "posexplode", "generate_subscripts"})
# What the second word of a name with a space may be taken for: "Order Date".
_NAMING: Final = frozenset({TokenType.VAR, TokenType.DATE, TokenType.TIME, TokenType.TIMESTAMP, TokenType.TEXT})
_TYPE_WORDS: Final = {"float32": exp.DType.FLOAT, "float64": exp.DType.DOUBLE}
# Deeper trees are past what the engine's parser and our own walks take.
MAX_DEPTH: Final = 150


def parse(text: ExpressionText) -> exp.Expr:
    """One expression without an alias. Raises ConfigError CMP-207 (not one expression), CMP-245 (nested too deeply)."""
    select = _parsed(_SELECT, text)
    found = select.expressions
    if len(found) != 1 or _beyond(select, {"expressions"}) or isinstance(found[0], exp.Alias):
        _refuse(text, "one expression is wanted here, without an alias or a clause")
    tree: exp.Expr = found[0]
    return with_arrows(_settled(tree.pop(), text, len(_SELECT)), text)


def parse_order(text: ExpressionText) -> tuple[SortKey, ...]:
    """``a, b desc nulls first``: nulls last unless said. Raises ConfigError CMP-207, CMP-245."""
    select = _parsed(_ORDER, text)
    clause = select.args.get("order")
    if not isinstance(clause, exp.Order) or _beyond(select, {"expressions", "order"}):
        _refuse(text, "an order is wanted here, such as `price desc`")
    return tuple(_sort_key(item, text) for item in clause.expressions)


def _sort_key(item: exp.Expr, text: ExpressionText) -> SortKey:
    value = item.this.copy() if isinstance(item, exp.Ordered) else item.copy()
    return SortKey(
        with_arrows(_settled(value, text, len(_ORDER)), text),
        descending=bool(item.args.get("desc")),
        nulls_first=_nulls_first(item, text),
    )


def _nulls_first(item: exp.Expr, text: ExpressionText) -> bool:
    # The parser fills nulls_first with the dialect's default; only what the author wrote counts.
    return bool(item.args.get("nulls_first")) and "nulls first" in " ".join(text.sql.lower().split())


def _parsed(prefix: str, text: ExpressionText) -> exp.Select:
    try:
        open_at = unclosed(sqlglot.tokenize(text.sql, dialect="duckdb"))
        trees = sqlglot.parse(prefix + text.sql, dialect="duckdb")
    except SqlglotError as error:
        place = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
        span = _span(prefix + text.sql, place, len(prefix))
        _refuse(text, "the expression cannot be parsed", detail=complaint(error), span=span)
    except RecursionError:
        _too_deep(text)
    if open_at is not None:
        _refuse(text, "a bracket is not closed", span=(open_at, 1))
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Select):
        _refuse(text, "one expression is wanted here")
    return tree


def _span(sql: str, place: Mapping[str, Any], prefix: int) -> tuple[int, int] | None:
    """Offset and length, in the expression, of what the parser stumbled over; it tells where that ends."""
    line, column, token = place.get("line"), place.get("col"), str(place.get("highlight") or "")
    if not isinstance(line, int) or not isinstance(column, int) or not token:
        return None
    start = sum(len(text) + 1 for text in sql.split("\n")[: line - 1]) + column - len(token) - prefix
    return (max(start, 0), len(token))


def _settled(tree: exp.Expr, text: ExpressionText, prefix: int) -> exp.Expr:
    """Without comments, and with places that count from the expression's first character."""
    stack = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            _too_deep(text)
        node.comments = None
        if isinstance(node, exp.DataType) and node.this is exp.DType.USERDEFINED:
            _name_type(node)
        for name in ("start", "end"):
            if name in node.meta:
                node.meta[name] -= prefix
        same = isinstance(node, exp.Connector)  # a chain of and, or is flat for the engine
        stack.extend((part, depth + (not (same and type(part) is type(node)))) for part in node.iter_expressions())
    return tree


def _name_type(node: exp.DataType) -> None:
    """The document's words for types that DuckDB has by another name only."""
    known = _TYPE_WORDS.get(str(node.args.get("kind")).casefold())
    if known is not None:
        node.set("this", known)
        node.set("kind", None)


def _too_deep(text: ExpressionText) -> NoReturn:
    at = text.place(0, len(text.sql)) if text.place else None
    raise ConfigError(
        "CMP-245", "the expression is nested too deeply", at=at, hint="compute parts of it in a `derive` step before"
    ) from None


def _beyond(select: exp.Select, allowed: set[str]) -> bool:
    return any(value for name, value in select.args.items() if name not in allowed)


def _refuse(
    text: ExpressionText, message: str, *, detail: str | None = None, span: tuple[int, int] | None = None
) -> NoReturn:
    start, length = span or (0, len(text.sql))
    at = text.place(start, length) if text.place else None
    raise ConfigError("CMP-207", message, at=at, detail=detail, hint=_hint(text, start, length)) from None


def _hint(text: ExpressionText, start: int, length: int) -> str | None:
    if text.in_yaml and text.sql.count("(") > text.sql.count(")"):
        return "a comma inside {...} or [...] of YAML ends the text: put the expression in quotes"
    short = _DIRECTIONS.get(text.sql[start : start + length].casefold())
    if short:
        return f"SQL writes `{short}`"
    spaced = _spaced_name(text.sql)
    return f'a name with a space stands in double quotes: `"{spaced}"`' if spaced else None


def _spaced_name(sql: str) -> str | None:
    """The first two words that stand side by side, neither of which is a word of SQL."""
    try:
        tokens = sqlglot.tokenize(sql, dialect="duckdb")
    except SqlglotError:
        return None
    for one, other in itertools.pairwise(tokens):
        between = sql[one.end + 1 : other.start]
        if one.token_type is TokenType.VAR and other.token_type in _NAMING and between and between.isspace():
            return sql[one.start : other.end + 1]
    return None


# ---------------------------------------------------------------- columns and what is allowed


def resolve(
    tree: exp.Expr, text: ExpressionText, schemas: Mapping[str, Schema], owner: str, *, allows: Allows = "scalar"
) -> exp.Expr:
    """The tree with every column found in ``schemas`` (by alias; one schema under "" for a single input) and quoted.

    Raises ConfigError with all that is wrong: CMP-203 (no such column), CMP-204 (ambiguous), CMP-208, CMP-240, CMP-241,
    CMP-243, CMP-244 (what may not stand here), CMP-242 (a comparison of types that have nothing to do with each other;
    a join's of two columns is its own to check), CMP-248 (a literal is cast to what it cannot be).
    """
    with together() as part:
        with part():
            _check_constructs(tree, text, allows)

        def find(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Column) and _is_own(node):
                with part():
                    return _column(node, text, schemas=schemas, owner=owner)
            return node

        found = tree.transform(find)
        with part():
            check_comparisons(
                found,
                lambda node: None if is_bound(node) else _type_of(node, schemas),
                lambda node: place_of(node, text),
                compared="all" if "" in schemas else "constants",
            )
    return found


def _type_of(node: exp.Column, schemas: Mapping[str, Schema]) -> LogicalType | None:
    """Of a column that was found."""
    found = schemas[node.table].get(node.name) if node.table in schemas else None
    return found.type if found is not None else None


def _is_own(node: exp.Column) -> bool:
    """Whether the name is to be found among the columns: not a lambda's parameter, not a part of what is refused whole."""
    return not (is_bound(node) or isinstance(node.this, exp.Star) or node.find_ancestor(exp.Query))


def place_of(node: exp.Expr, text: ExpressionText) -> Location | None:
    """Where a part of the expression stands in the document."""
    if text.place is None:
        return None
    for part in node.find_all(exp.Identifier, exp.Func, bfs=True):
        start, end = part.meta.get("start"), part.meta.get("end")
        if start is not None and end is not None:
            return text.place(start, end - start + 1)
    return text.place(0, len(text.sql))


def _check_constructs(tree: exp.Expr, text: ExpressionText, allows: Allows) -> None:
    problems = [
        Problem(code, message, at=place_of(node, text), hint=hint)
        for node in tree.walk(prune=lambda node: _forbidden(node, allows) is not None)
        if (found := _forbidden(node, allows)) is not None
        for code, message, hint in (found,)
    ]
    if problems:
        raise ConfigError.of(problems)


def _forbidden(node: exp.Expr, allows: Allows) -> tuple[str, str, str | None] | None:
    """Code, message and hint."""
    match node:
        case exp.Query() | exp.From() | exp.Values():
            return (
                "CMP-240",
                "a subquery cannot stand in an expression",
                "write a transform with `sql:`, or a `join` step",
            )
        case exp.Placeholder() | exp.Parameter() | exp.SessionParameter() | exp.PositionalColumn():
            return (
                "CMP-244",
                "a placeholder of SQL cannot stand in an expression",
                "use ${param.NAME}, or a column's name",
            )
        case exp.Columns():
            return "CMP-244", "`columns(...)` cannot stand in an expression", "name the columns"
        case exp.Star() if not isinstance(node.parent, exp.Count):
            return "CMP-244", "`*` cannot stand in an expression", "name the columns"
        case exp.Window() if allows != "window":
            return "CMP-241", "a window function cannot stand here", "use the step `window`"
        case exp.AggFunc() if allows == "scalar":
            return "CMP-208", "an aggregate cannot stand here", "use the step `aggregate`, or `window`"
        case exp.Explode() | exp.Unnest():
            return "CMP-243", "an expression gives one value per row", "use the step `explode`"
        case exp.Anonymous() if node.name.lower() in _ROW_MAKERS:
            return "CMP-243", "an expression gives one value per row", "use the step `explode`"
    return None


def _column(node: exp.Column, text: ExpressionText, *, schemas: Mapping[str, Schema], owner: str) -> exp.Expr:
    parts = list(node.parts)
    head = parts[0].name
    alias = next((known for known in schemas if known and known.casefold() == head.casefold()), None)
    if alias is not None and len(parts) > 1:
        parts = parts[1:]
        schemas = {alias: schemas[alias]}
    elif len(parts) > 1 and "" not in schemas:
        _check_alias(head, node, text=text, schemas=schemas)
    alias, name = _find(parts[0].name, schemas, node=node, text=text, owner=owner)
    found: exp.Expr = column_of(name, alias or None)
    found.this.meta.update(parts[0].meta)  # its place in the document
    kind: LogicalType | None = schemas[alias][name].type
    for part in parts[1:]:
        kind = _field(kind, part, node=node, text=text)
        found = exp.Dot(this=found, expression=identifier(part.name))
    return found


def _check_alias(alias: str, node: exp.Column, *, text: ExpressionText, schemas: Mapping[str, Schema]) -> None:
    """``alias.name`` where no side has that alias, and no column of that name whose field it could be: CMP-281."""
    columns = {name.casefold() for schema in schemas.values() for name in schema.names}
    if alias.casefold() in columns:
        return
    near = nearest(alias, schemas)
    raise ConfigError(
        "CMP-281",
        f'there is no side "{alias}" in this join',
        at=place_of(node, text),
        detail=f"its sides are {' and '.join(schemas)}.",
        hint=f'did you mean "{near}"?' if near else _side_hint(node.parts[1].name, schemas),
    )


def _side_hint(name: str, schemas: Mapping[str, Schema]) -> str:
    """The one side that has the column, else what the sides are."""
    having = [
        alias for alias, schema in schemas.items() if name.casefold() in {have.casefold() for have in schema.names}
    ]
    if len(having) == 1:
        return f"write `{exp.column(exp.to_identifier(name), having[0]).sql(dialect='duckdb')}`"
    first, *others = schemas
    return (
        f"`{first}.` is before a column of the rows that come in, `{'.` or `'.join(others)}.` before the other node's"
    )


def _field(kind: LogicalType | None, part: exp.Expr, *, node: exp.Column, text: ExpressionText) -> LogicalType | None:
    """The type of a struct's field; None where only the engine knows what the dot means."""
    if not isinstance(kind, Struct):
        return None
    for field in kind.fields:
        if field.name.casefold() == part.name.casefold():
            return field.type
    raise missing_column(
        part.name, [field.name for field in kind.fields], owner=node.parts[0].name, at=place_of(part, text)
    )


def _find(
    name: str, schemas: Mapping[str, Schema], *, node: exp.Column, text: ExpressionText, owner: str
) -> tuple[str, str]:
    """(alias, exact name) of the one column that is meant."""
    exact = [(alias, name) for alias, schema in schemas.items() if name in schema.names]
    folded = [
        (alias, have)
        for alias, schema in schemas.items()
        for have in schema.names
        if have.casefold() == name.casefold()
    ]
    for found in (exact, folded):
        if len(found) == 1:
            return found[0]
        if found:
            places = " and ".join(f"{alias}.{column}" if alias else column for alias, column in found)
            raise ConfigError(
                "CMP-204", f'column "{name}" is ambiguous', at=place_of(node, text), detail=f"it may be {places}."
            )
    known = [n for schema in schemas.values() for n in schema.names]
    is_whole = text.in_yaml and text.sql.strip() == name
    as_text = f"{{text: {name}}} or in SQL quotes" if is_whole else quote_text(name)
    raise missing_column(name, known, owner=owner, at=place_of(node, text), as_text=as_text)


def missing_column(
    name: str, known: list[str], *, owner: str, at: Location | None, as_text: str | None = None
) -> ConfigError:
    """CMP-203 with the nearest name; a word that is near nothing was perhaps meant as text, and that is how it is
    written ``as_text``.
    """
    near = nearest(name, known)
    hint = f'did you mean "{near}"?' if near else None
    if name == "*":
        hint = "`derive` keeps all columns, and `sql` takes `select *`"
    elif hint is None and as_text is not None:
        hint = f"a text is written {as_text}"
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")  # noqa: PLR2004 -- as many as a line holds
    return ConfigError(
        "CMP-203",
        f'column "{name}" does not exist in "{owner}"',
        at=at,
        detail=f'"{owner}" has the columns {listed}.' if known else f'"{owner}" has no columns.',
        hint=hint,
    )
