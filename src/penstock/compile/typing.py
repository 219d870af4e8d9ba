"""The type of every column of every node, from the engine's own binder; binder errors become located problems.

A node is bound as a whole. Only when that fails are its expressions bound one by one, to name the one that is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sqlglot import exp

from penstock.compile.exact import exact
from penstock.compile.nullability import nullable_columns
from penstock.compile.query import place_in
from penstock.compile.query_comparisons import check_query
from penstock.compile.refusals import problem_of, refusals
from penstock.engines.api import BindError
from penstock.errors import ConfigError, InternalError, PenstockError, Problem
from penstock.graph.nodes import (
    Aggregate,
    Cause,
    Check,
    Column,
    Explode,
    Join,
    Project,
    Python,
    Query,
    Read,
    Sort,
    Table,
    Write,
)
from penstock.graph.select import to_select
from penstock.steps.collect import together
from penstock.structs import replace
from penstock.trees import column, identifier, relation
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from penstock.engines.api import Engine
    from penstock.errors import Location
    from penstock.fields import Located
    from penstock.graph import Node

_Checked = TypeVar("_Checked", bound="Node")


def type_node(node: Node, inputs: Mapping[str, Schema], *, engine: Engine, text: Located | None = None) -> Node:
    """The node with its columns: names as it says, types from the engine, nullability derived, labels not yet.

    ``text`` is the document's, where the whole node was made of one, to find in it what is wrong.

    A value of an engine's type that is wider than the logical one is cast (compile/exact.py), so that what is told here is
    what the next node gets. Raises ConfigError CMP-203 to CMP-209, CMP-226, CMP-241, CMP-242, CMP-248.
    """
    match node:
        case Read() | Table():
            schema = _required(node)
            _check_duplicates(node, schema.names)
            return node
        case Python():
            _check_duplicates(node, node.declared.names)
            return replace(node, schema=node.declared)
    _check_names(node)
    with together() as part:
        if isinstance(node, Query) and text is not None:
            with part():
                check_query(node.query, _named(node, inputs), text)
        with part():
            typed = _known(node, inputs) or _bound(node, inputs, engine=engine, text=text)
    _check_duplicates(node, typed.names)
    schema = nullable_columns(node, typed, inputs)
    return replace(exact(node, schema), schema=schema)


def _known(node: Node, inputs: Mapping[str, Schema]) -> Schema | None:
    """The columns of a node that only passes its input's on, about which the engine need not be asked."""
    match node:
        case Write():
            return inputs[node.input]
        case Check() if all(_is_null_test(item.violated, inputs[node.input]) for item in node.demands):
            return inputs[node.input]
        case Project():
            have = inputs[node.input]
            passed = [(item.name, have.get(item.value.name)) for item in node.columns if _is_plain(item.value, have)]
            if len(passed) == len(node.columns):
                return Schema(tuple(replace(field, name=name) for name, field in passed if field))
    return None


def _is_null_test(tree: exp.Expr, have: Schema) -> bool:
    return isinstance(tree, exp.Is) and isinstance(tree.expression, exp.Null) and _is_plain(tree.this, have)


def _is_plain(tree: exp.Expr, have: Schema) -> bool:
    return isinstance(tree, exp.Column) and not tree.table and tree.name in have


def _bound(node: Node, inputs: Mapping[str, Schema], *, engine: Engine, text: Located | None) -> Schema:
    query = _guarded(node, inputs) if isinstance(node, Project) else to_select(_demanding(node))
    try:
        typed = engine.schema_of(query, inputs)
    except BindError as error:
        raise ConfigError.of(
            _explained(node, inputs, engine=engine, text=text) or [problem_of(error, None, at=node.at, inputs={})]
        ) from None
    except ConfigError as error:
        raise _placed(error, node) from None
    return Schema(typed.fields[:-1]) if isinstance(node, Project) else typed


def _demanding(node: _Checked) -> _Checked:
    """A check that rejects what it only counts, so that the engine sees all of its conditions."""
    if not isinstance(node, Check):
        return node
    counted = (Cause(note.code, note.violated, exp.null(), at=note.at) for note in node.notes)
    return replace(node, causes=(*node.causes, *counted), notes=())


def _required(node: Read | Table) -> Schema:
    if node.schema is None:
        raise InternalError("INT-900", f'"{node.id}" has no columns yet')
    return node.schema


def _guarded(node: Project, inputs: Mapping[str, Schema]) -> exp.Query:
    """The projection beside an ungrouped column, so that the binder refuses an aggregate that the parser did not know."""
    name = _unused({*inputs[node.input].names, *(item.name for item in node.columns)})
    guard = exp.alias_(exp.Literal.number(1), identifier(name))
    source = exp.select("*", guard).from_(relation(node.input)).subquery("__rows")
    select = to_select(node)
    select.set("from_", exp.From(this=source))
    select.append("expressions", column(name))
    return select


def _unused(names: set[str]) -> str:
    """A name that differs from all of these by more than case."""
    folded = {name.lower() for name in names}
    name = "__row"
    while name in folded:
        name += "_"
    return name


def _check_names(node: Node) -> None:
    match node:
        case Project(columns=columns) | Join(columns=columns):
            named = columns
        case Aggregate(by=by, measures=measures):
            named = (*by, *measures)
        case Explode():
            extra = [Column(name, node.value, node.at) for name in (node.as_, node.position) if name is not None]
            named = (*node.columns, *extra)
        case _:
            return
    seen: dict[str, Column] = {}
    for item in named:
        before = seen.setdefault(item.name.lower(), item)
        if before is not item:
            same = before.name == item.name
            raise ConfigError(
                "CMP-209",
                f'there would be two columns "{item.name}"'
                if same
                else f'"{before.name}" and "{item.name}" differ only in case',
                at=item.at or before.at or node.at,
                hint="give one of them another name",
            )


def _placed(error: ConfigError, node: Node) -> PenstockError:
    """What the engine's columns cannot be (two of one name, a type that no document has), at the place of the node."""
    if error.code == "DOC-410":
        hint = "give one of them another name"
        return ConfigError(
            "CMP-209",
            "the query gives two columns of one name",
            at=node.at,
            detail=error.problems[0].message,
            hint=hint,
        )
    return ConfigError.of(replace(problem, at=problem.at or node.at) for problem in error.problems)


def _check_duplicates(node: Node, names: tuple[str, ...]) -> None:
    folded: dict[str, str] = {}
    for name in names:
        if name.lower() in folded:
            raise ConfigError(
                "CMP-209",
                f'there would be two columns, "{folded[name.lower()]}" and "{name}", which differ only in case',
                at=node.at,
                hint="give one of them another name",
            )
        folded[name.lower()] = name


# ---------------------------------------------------------------- explaining what the binder refused


def _explained(node: Node, inputs: Mapping[str, Schema], *, engine: Engine, text: Located | None) -> Sequence[Problem]:
    """Everything in the node that the engine refuses; nothing where each expression for itself is right."""
    problems: dict[Problem, None] = {}
    for query, at in _parts(node, inputs):
        for error, part in refusals(query, inputs, engine):
            place = place_in(part, text) if part is not None and text is not None else at or node.at
            problems[problem_of(error, part, at=place, inputs=_named(node, inputs))] = None
    return tuple(problems)


def _named(node: Node, inputs: Mapping[str, Schema]) -> Mapping[str, Schema]:
    """The inputs by the names that the author's query has for them."""
    return {name: inputs[node_id] for name, node_id in node.tables.items()} if isinstance(node, Query) else inputs


def _parts(node: Node, inputs: Mapping[str, Schema]) -> Iterator[tuple[exp.Query, Location | None]]:
    """One query per expression of the node, with its place."""
    match node:
        case Project():
            for item in node.columns:
                yield _guarded(replace(node, columns=(item,)), inputs), item.at
        case Aggregate():
            for item in node.by:
                yield to_select(replace(node, by=(item,), measures=())), item.at
            for item in node.measures:
                yield to_select(replace(node, measures=(item,))), item.at
        case Join():
            yield to_select(replace(node, columns=node.columns[:1])), node.at
            for item in node.columns:
                yield to_select(replace(node, columns=(item,))), item.at
        case Check():
            for cause in _demanding(node).causes:
                yield to_select(replace(node, causes=(cause,))), cause.at or node.at
        case Sort():
            for key in node.keys:
                yield to_select(replace(node, keys=(key,))), node.at
        case _:
            yield to_select(node), node.at
