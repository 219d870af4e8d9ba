"""Brings columns of another node to the rows, or keeps the rows that have, or lack, a match there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, PlainValidator, TypeAdapter, WithJsonSchema
from sqlglot import exp

from penstock.fields import AlsoCalled, Expression, ExpressionText, Located, Name
from penstock.graph.nodes import Column, Filter, Join
from penstock.registry import Descriptor
from penstock.steps.collect import each, together
from penstock.steps.join_condition import LEFT, Sides, asof_keys, check_types, equal_columns, equality, named
from penstock.steps.params import StepParams
from penstock.steps.ties import first_of
from penstock.trees import column
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from penstock.steps.api import Scope

Kind: TypeAlias = Literal["inner", "left", "right", "full", "cross", "semi", "anti", "asof", "asof_left"]
_EXPRESSION: TypeAdapter[ExpressionText] = TypeAdapter(Expression)


def _on(value: object) -> tuple[str, ...] | ExpressionText:
    if not isinstance(value, (list, tuple)):
        return _EXPRESSION.validate_python(value)
    if not value or not all(isinstance(item, str) and item for item in value):
        raise ValueError("takes a list of columns, or an expression over this. and the alias")
    return tuple(value)


def _added(value: object) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for item in value if isinstance(value, (list, tuple)) else [value]:
        for new, old in item.items() if isinstance(item, dict) else [(item, item)]:
            if not (isinstance(new, str) and isinstance(old, str) and new and old):
                raise ValueError("takes a list of columns, each a name or {new: old}, or one map of them")
            found.append((new, old))
    return tuple(found)


_RENAMED = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}
On = Annotated[
    tuple[str, ...] | ExpressionText,
    PlainValidator(_on),
    WithJsonSchema({"anyOf": [{"type": "array", "minItems": 1, "items": {"type": "string"}}, {"type": "string"}]}),
]
Added = Annotated[
    tuple[tuple[str, str], ...],
    PlainValidator(_added),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                _RENAMED,
                {"type": "array", "items": {"anyOf": [{"type": "string"}, _RENAMED]}},
            ]
        }
    ),
]


class JoinParams(StepParams):
    """Rows that come in are ``this``; ``add`` is (new name, column of the other node)."""

    short: ClassVar[str | None] = None

    to: Name = Field(description="The other node: a source, a transform, or a sink.")
    as_: Name | None = Field(default=None, alias="as", description="What `on` calls it; its own name where not given.")
    kind: Annotated[Kind, AlsoCalled(("how", "type"))] = Field(
        default="inner",
        description="inner, left, right, full, cross; semi and anti keep rows with and without a match; asof takes the "
        "nearest row by an inequality, asof_left also keeps rows without one.",
    )
    on: On | None = Field(
        default=None, description="Columns that both have, or an expression over `this.` and the alias."
    )
    add: Added = Field(default=(), description="Columns of the other node to add: names, or new: old.")


def make(params: JoinParams, scope: Scope) -> str:
    """One Join: in per input, out, unmatched per side. An as-of join first keeps one row per key of the other side."""
    right = scope.resolve(params.to)
    sides = Sides(scope.schema, scope.schema_of(right), _alias(params, scope), params.to)
    _check_shape(params, scope)
    with together() as part:
        with part():
            added = _additions(params, sides, scope)
        with part():
            condition, pairs = _condition(params, sides, scope)
    columns = [Column(item.name, column(item.name, LEFT)) for item in sides.left]
    columns = _with_keys(columns, pairs, kind=params.kind, alias=sides.alias)
    if params.kind in {"asof", "asof_left"} and isinstance(params.on, ExpressionText) and condition is not None:
        keys = asof_keys(condition, sides, scope=scope, text=params.on)
        one = first_of(sides.right, keys, ())
        right = scope.add(Filter(scope.node_id("nearest"), input=right, condition=one, why="deduplicate"))
    return scope.add(
        Join(
            scope.node_id(),
            left=scope.input,
            right=right,
            how=params.kind,
            on=condition,
            columns=(*columns, *added),
            left_alias=LEFT,
            right_alias=sides.alias,
        )
    )


def _condition(params: JoinParams, sides: Sides, scope: Scope) -> tuple[exp.Expr | None, dict[str, str]]:
    """What must be true of a pair of rows, and the columns (of ``this``: of the other side) where those say it."""
    if isinstance(params.on, tuple):
        pairs = equal_columns(params.on, sides, scope)
        condition = equality(pairs, sides.alias)
        check_types(condition, sides, scope=scope, at=params.on[0])
        return condition, dict(pairs)
    if params.on is None:
        return None, {}
    condition = scope.expression(params.on, schemas=sides.schemas)
    check_types(condition, sides, scope=scope, at=params.on)
    return condition, {}


def _alias(params: JoinParams, scope: Scope) -> str:
    alias = params.as_ or params.to
    if fold_case(alias) == LEFT:
        scope.fail(
            "CMP-284",
            f'the alias "{alias}" is taken: it stands for the rows that come in',
            at=alias,
            hint="give the other node another name with `as:`",
        )
    return str(alias)


def _check_shape(params: JoinParams, scope: Scope) -> None:
    """Which parameters a kind takes: CMP-283."""
    match params.kind:
        case "cross" if params.on is not None:
            scope.fail("CMP-283", "a cross join pairs all rows and takes no `on`", hint="leave out `on`, or the kind")
        case "semi" | "anti" if params.add:
            scope.fail(
                "CMP-283",
                f"a join of kind {params.kind} keeps or drops rows and adds no columns",
                hint="leave out `add`, or take another kind",
            )
        case "asof" | "asof_left" if not isinstance(params.on, ExpressionText):
            scope.fail("CMP-282", "an as-of join takes an expression under `on`, with one inequality")
        case "cross":
            return
        case _ if params.on is None:
            scope.fail("CMP-283", f"a join of kind {params.kind} needs `on`", hint="write `on: [column]`")
        case _ if isinstance(params.on, ExpressionText) and params.on.sql.strip().strip('"').isidentifier():
            scope.fail(
                "CMP-283",
                f'"{params.on.sql}" compares nothing',
                at=params.on,
                hint=f"a column that both have is written as a list: `on: [{params.on.sql.strip()}]`",
            )
        case _:
            return


def _additions(params: JoinParams, sides: Sides, scope: Scope) -> tuple[Column, ...]:
    taken = {fold_case(name): name for name in sides.left.names}

    def added(pair: tuple[str, str]) -> Column:
        new, old = pair
        before = taken.setdefault(fold_case(new), new)
        if before is not new:
            scope.fail(
                "CMP-285",
                f'the join would give two columns "{before}"' + ("" if before == new else f' and "{new}"'),
                at=new,
                hint=f"give the added one a name of its own: `add: {{{sides.alias}_{old}: {old}}}`",
            )
        at = new.at if isinstance(new, Located) else scope.at
        return Column(new, column(named(old, sides.right, sides.to, scope), sides.alias), at)

    return each(params.add, added)


def _with_keys(columns: list[Column], pairs: dict[str, str], *, kind: Kind, alias: str) -> list[Column]:
    """The key columns hold the key of every row, also of those that only the other side has."""
    if kind not in {"right", "full"}:
        return columns
    return [
        Column(item.name, _key(item.value, column(pairs[item.name], alias), kind)) if item.name in pairs else item
        for item in columns
    ]


def _key(left: exp.Expr, right: exp.Expr, kind: Kind) -> exp.Expr:
    return right if kind == "right" else exp.Coalesce(this=left, expressions=[right])


JOIN = Descriptor(
    name="join",
    group="steps",
    summary="Joins another node: adds its columns, or keeps the rows that have or lack a match there.",
    params=JoinParams,
    make=make,
    example='join: {to: fx, kind: asof, on: "this.trade_date >= fx.day", add: [usd]}',
    notes=(
        "Only the columns under `add` come from the other node; a name that is taken is an error.",
        "A null key matches nothing, not even another null.",
        "With `on: [columns]`, a right or full join fills the key columns of rows that only the other node has.",
        "An as-of join matches at most one row: of several that are equally near, the same one in every run.",
    ),
)
