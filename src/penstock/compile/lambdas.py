"""Lambdas in expressions: whose parameters are no columns, and which arrows are no lambdas at all.

The parser takes every ``x -> ...`` among a function's arguments for a lambda. DuckDB 2 knows lambdas by another sign
(``lambda x: ...``) and the arrow as what looks into JSON: ``coalesce(payload -> '$.a', ...)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.fields import ExpressionText

_TAKERS: Final = frozenset({"transform", "apply", "filter", "reduce"})
_PREFIXES: Final = ("list_", "array_")


def with_arrows(tree: exp.Expr, text: ExpressionText) -> exp.Expr:
    """The tree with arrows into JSON where the parser saw lambdas. Raises ConfigError CMP-207 where only parentheses say
    what belongs to the arrow.
    """
    return tree.transform(
        lambda node: (
            _looked_into(node, text) if isinstance(node, exp.Lambda) and not _takes_lambdas(node.parent) else node
        )
    )


def _takes_lambdas(function: exp.Expr | None) -> bool:
    if not isinstance(function, exp.Func):
        return False
    name = (function.name if isinstance(function, exp.Anonymous) else function.sql_name()).lower()
    return name in _TAKERS or name.startswith(_PREFIXES)


def _looked_into(node: exp.Lambda, text: ExpressionText) -> exp.Expr:
    body = node.this
    spine = body
    while isinstance(spine, (exp.JSONExtract, exp.JSONExtractScalar)):
        spine = spine.this
    if len(node.expressions) != 1 or not isinstance(spine, exp.Literal):
        raise ConfigError(
            "CMP-207",
            "it is not clear what belongs to the arrow",
            at=text.place(0, len(text.sql)) if text.place else None,
            hint="put `(column -> 'key')` in parentheses, or write a lambda as `lambda x: ...`",
        )
    column = exp.Column(this=node.expressions[0].copy())
    path = Dialect.get_or_raise("duckdb").to_json_path(spine.copy())
    first = exp.JSONExtract(this=column, expression=path, only_json_types=False)
    if spine is body:
        return first
    spine.replace(first)
    whole: exp.Expr = node.this
    return whole.copy()


def is_bound(node: exp.Column) -> bool:
    """Whether the name is a parameter of a lambda or a list comprehension around it."""
    name = node.parts[0].name.casefold()
    child: exp.Expr = node
    parent = node.parent
    while parent is not None:
        if name in {item.name.casefold() for item in _parameters(parent, child)}:
            return True
        child, parent = parent, parent.parent
    return False


def _parameters(node: exp.Expr, child: exp.Expr) -> Iterator[exp.Expr]:
    """The names that the node binds in that part of it; what a comprehension walks over sees the names outside."""
    match node:
        case exp.Lambda():
            yield from node.expressions
        case exp.Comprehension() if child is not node.args.get("iterator"):
            for key in ("expression", "position"):
                named = node.args.get(key)
                if isinstance(named, exp.Expr):
                    yield from named.expressions or [named]
