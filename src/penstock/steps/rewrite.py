"""A projection that gives some columns another value, in their places, and carries the others as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.graph.nodes import Column, Project
from penstock.steps.collect import each
from penstock.trees import text_of
from penstock.types.logical import Kind, Primitive

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.steps.api import Scope


def rewrite(scope: Scope, changed: Iterable[Column], *, input_id: str | None = None) -> str:
    """The step's last node: a column of ``changed`` that is not there yet stands behind all others."""
    source = scope.input if input_id is None else input_id
    values = {item.name: item for item in changed}
    columns = [values.pop(item.name, item) for item in scope.carried(scope.schema_of(source))]
    return scope.add(Project(scope.node_id(), input=source, columns=(*columns, *values.values())))


def text_columns(scope: Scope, names: Sequence[str] | None) -> tuple[str, ...]:
    """The exact names of these columns, each of which must be text; None: every text column.

    Raises ConfigError CMP-203 (no such column), CMP-251 (not text), CMP-252 (there is none).
    """
    if names is None:
        found = tuple(item.name for item in scope.schema if item.type == Primitive(Kind.STRING))
        if not found:
            scope.fail("CMP-252", "no column is text", hint="leave out the step")
        return found
    return each(names, lambda name: _text_column(scope, name))


def _text_column(scope: Scope, name: str) -> str:
    known = scope.column(name).name
    if scope.schema[known].type != Primitive(Kind.STRING):
        scope.fail(
            "CMP-251",
            f'column "{known}" is {scope.schema[known].type}, not text',
            at=name,
            hint=f"make it text first: `cast: {{{known}: string}}`" if known.isidentifier() else None,
        )
    return known


def shown(name: str, value: exp.Expr, words: str) -> exp.Expr:
    """The message ``"name" words: the value``, the value cut to what a person reads."""
    cut = exp.Left(this=text_of(value), expression=exp.Literal.number(100))
    return exp.Concat(expressions=[exp.Literal.string(f'"{name}" {words}: '), cut], safe=True, coalesce=True)
