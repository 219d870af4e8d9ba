"""Gives columns another type; what a value does that does not fit is the author's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import Field, model_validator
from sqlglot import exp

from penstock.fields import Name
from penstock.graph.nodes import Cause, Check, Column
from penstock.registry import Descriptor
from penstock.steps.collect import each, together
from penstock.steps.params import OnError, StepParams
from penstock.steps.rewrite import rewrite, shown
from penstock.trees import call, column, is_not_null, is_null
from penstock.types.compatibility import can_hold
from penstock.types.duckdb import to_duckdb
from penstock.types.families import Family, family
from penstock.types.logical import Kind, List, Map, Primitive, Struct

if TYPE_CHECKING:
    from penstock.steps.api import Scope
    from penstock.types import LogicalType

NewTypes = Annotated[dict[Name, Name], Field(min_length=1)]


class CastParams(StepParams):
    """``cast: {a: type}``, with ``on_error`` in the same map or beside ``columns``."""

    short: ClassVar[str | None] = "columns"

    columns: NewTypes = Field(description="The new type of each column, column: type.")
    on_error: OnError = Field(
        default="reject",
        description="What a value does that does not fit: its row is rejected, it becomes null, or the run fails.",
    )

    @model_validator(mode="before")
    @classmethod
    def _beside(cls, value: Any) -> Any:
        """``{a: int64, on_error: null}`` reads as columns and the parameter."""
        if isinstance(value, dict) and "columns" not in value and "on_error" in value:
            columns = {name: kind for name, kind in value.items() if name != "on_error"}
            return {"columns": columns, "on_error": value["on_error"]}
        return value


def make(params: CastParams, scope: Scope) -> str:
    """A Check where rows can be rejected, then one Project.

    Raises ConfigError CMP-203 (no such column), CMP-254 (a type marked ?), CMP-255 (no cast leads there), DOC-400...
    """
    wanted = dict(each(params.columns.items(), lambda item: _wanted(scope, *item)))
    places = {scope.column(name).name: getattr(name, "at", None) for name in params.columns}
    risky = [name for name, kind in wanted.items() if not can_hold(kind, scope.schema[name].type)]
    source = scope.input
    if risky and params.on_error != "null":
        on_fail = params.on_error
        causes = tuple(
            Cause(
                "cast",
                _lost(scope, name, wanted[name]),
                shown(name, column(name), f"is no {wanted[name]}"),
                name,
                on_fail,
            )
            for name in risky
        )
        source = scope.add(Check(scope.node_id("check"), input=source, causes=causes))
    checked = params.on_error != "null"
    columns = [
        Column(
            name,
            _converted(name, kind, risky=name in risky),
            places[name],
            never_null=checked and not scope.schema[name].nullable and not _is_json(scope, name),
        )
        for name, kind in wanted.items()
    ]
    return rewrite(scope, columns, input_id=source)


def _wanted(scope: Scope, column_name: str, text: str) -> tuple[str, LogicalType]:
    """The exact name of the column and its type to be."""
    with together() as part:
        with part():
            kind = _type(scope, text)
        with part():
            name = scope.column(column_name).name
    _check_possible(scope, name, kind=kind, at=column_name)
    return name, kind


def _type(scope: Scope, text: str) -> LogicalType:
    kind, nullable = scope.type(text)
    if nullable:
        scope.fail(
            "CMP-254",
            f'a cast does not say whether null may stand there: "{text}"',
            at=text,
            hint="leave out the ?; nulls stay null, `filter: x is not null` drops them",
        )
    return kind


def _check_possible(scope: Scope, name: str, *, kind: LogicalType, at: object) -> None:
    if not _leads(scope.schema[name].type, kind):
        scope.fail("CMP-255", f'no cast leads from {scope.schema[name].type}, the type of "{name}", to {kind}', at=at)


# DuckDB's binder lets every cast pass, and its TRY_CAST makes null of every value where there is no such cast.
_NUMBERS: Final = frozenset({Family.NUMBER, Kind.BOOLEAN})
_CASTS: Final = frozenset(
    {(Kind.DATE, Kind.TIMESTAMP), (Kind.DATE, Kind.TIMESTAMPTZ), (Kind.TIMESTAMP, Kind.DATE), (Kind.TIMESTAMP, Kind.TIME),
     (Kind.TIMESTAMP, Kind.TIMESTAMPTZ), (Kind.TIMESTAMPTZ, Kind.DATE), (Kind.TIMESTAMPTZ, Kind.TIMESTAMP),
     (Kind.UUID, Kind.BINARY), (Kind.BINARY, Kind.UUID)}
)  # fmt: skip


def _leads(source: LogicalType, target: LogicalType) -> bool:
    """Whether a cast leads from a type to another, whatever it does to single values."""
    if source == target or Family.TEXT in (family(source), family(target)):
        return True
    match source, target:
        case List(), List():
            return _leads(source.element, target.element)
        case Map(), Map():
            return _leads(source.key, target.key) and _leads(source.value, target.value)
        case Struct(), Struct():
            wanted = {field.name: field.type for field in target.fields}
            return all(_leads(field.type, wanted[field.name]) for field in source.fields if field.name in wanted)
        case Primitive(), Primitive() if (source.kind, target.kind) in _CASTS:
            return True
        case _:
            return family(source) in _NUMBERS and family(target) in _NUMBERS


def _is_json(scope: Scope, name: str) -> bool:
    return scope.schema[name].type == Primitive(Kind.JSON)


def _lost(scope: Scope, name: str, kind: LogicalType) -> exp.Expr:
    """A value that would become null; the null of JSON is a null already."""
    lost = exp.and_(is_not_null(column(name)), is_null(exp.TryCast(this=column(name), to=to_duckdb(kind))))
    if not _is_json(scope, name):
        return lost
    null_type = exp.Literal.string("NULL")
    return exp.and_(lost, exp.NEQ(this=call("json_type", column(name)), expression=null_type))


def _converted(name: str, kind: LogicalType, *, risky: bool) -> exp.Expr:
    """TRY_CAST where a value may not fit, although rejected rows are gone: no order of evaluation can fail the run."""
    return (exp.TryCast if risky else exp.Cast)(this=column(name), to=to_duckdb(kind))


CAST = Descriptor(
    name="cast",
    group="steps",
    summary="Gives columns another type.",
    params=CastParams,
    make=make,
    example="cast: {price: 'decimal(12,4)', day: date, on_error: reject}",
    short="columns",
    notes=("A number with more digits than the new type keeps is rounded, as DuckDB does.",),
)
