"""Holding a node to a schema: missing and new columns by policy, values cast, bad values and nulls to rejects."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from sqlglot import exp

from penstock.compile.nested_nulls import has_forbidden_null
from penstock.errors import ConfigError, Problem, nearest
from penstock.faithful import Spelling, as_text, textual
from penstock.graph.nodes import Cause, Check, Column, Project
from penstock.steps.rewrite import shown
from penstock.structs import Frozen, replace
from penstock.trees import call, column, is_not_null, is_null
from penstock.types import Schema
from penstock.types.compatibility import can_hold, widen
from penstock.types.duckdb import to_duckdb
from penstock.types.logical import FLOAT32, FLOAT64, JSON, STRING, Decimal, List, Map, Struct, relaxed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.compile.scope import Builder
    from penstock.connectors.params import SourceParams
    from penstock.errors import Location
    from penstock.types import Field, LogicalType

_FLOATS: Final = (FLOAT32, FLOAT64)
# What a float is off a decimal number of 15 digits, which all survive (IEEE 754), as a share of it.
_FLOAT_NOISE: Final = "1e-15"


def enforce(
    builder: Builder,
    node_id: str,
    contract: Schema,
    *,
    owner: str,
    policy: SourceParams | None = None,
    at: Location | None = None,
    columns: Mapping[str, Location] = MappingProxyType({}),
    is_recorded: bool = False,
    physical: Schema | None = None,
) -> str:
    """The node's rows with exactly the contract's columns and types (new columns and wider types where the policy takes
    them).

    ``columns`` has the places of the contract's columns, where it stands in the document; ``is_recorded``: the contract is
    what an earlier run found; ``physical``: what the source has, where not all of it was read. A source is held by its own
    policies; a transform or a sink (``policy`` None) must have the columns, and a value that does not fit is a reject.
    Raises ConfigError CMP-230 (missing), CMP-231 (new), CMP-232 (another type).
    """
    found = builder.schema_of(node_id)
    _check_columns(_Held(owner, found, contract, is_recorded, at, columns), policy, physical or found)
    if policy is not None and policy.on_type_change == "widen":
        contract = _widened(contract, found)
    mode = policy.on_bad_value if policy is not None else "reject"
    causes = [cause for item in contract if (have := found.get(item.name)) for cause in _causes(item, have, mode)]
    if causes:
        node_id = builder.add(
            Check(builder.unique_id(f"{owner}.schema.check"), input=node_id, causes=tuple(causes), at=at)
        )
    extra = [item for item in found if item.name not in contract] if _adds(policy) else []
    values = (*(_value(item, found.get(item.name), mode) for item in contract), *_carried(extra))
    if tuple(item.name for item in values) == found.names and all(_same(item, found) for item in contract):
        return node_id
    return builder.add(Project(builder.unique_id(f"{owner}.schema"), input=node_id, columns=values, at=at))


def _adds(policy: SourceParams | None) -> bool:
    return policy is not None and policy.on_new_column == "add"


def _carried(fields: list[Field]) -> tuple[Column, ...]:
    return tuple(Column(item.name, column(item.name)) for item in fields)


def _same(item: Field, found: Schema) -> bool:
    have = found.get(item.name)
    return have is not None and have.type == relaxed(item.type)


class _Held(Frozen):
    """What a node has and what it should have: by its author's word, or as it was recorded."""

    owner: str
    found: Schema
    contract: Schema
    is_recorded: bool
    at: Location | None
    columns: Mapping[str, Location]

    @property
    def called(self) -> str:
        return "its recorded schema" if self.is_recorded else "its schema"

    def problem(
        self, code: str, message: str, hint: str | None, detail: str | None = None, column: str | None = None
    ) -> Problem:
        """At the place of the contract's ``column``, else at the node's."""
        if self.is_recorded:
            accept = "`penstock schema accept FILE` takes the source as it is now"
            hint = f"{accept}; {hint}" if hint else accept
        at = self.at if column is None else self.columns.get(column, self.at)
        return Problem(code, message, at=at, detail=detail, hint=hint)


def _check_columns(held: _Held, policy: SourceParams | None, physical: Schema) -> None:
    found, contract = held.found, held.contract
    problems: list[Problem] = []
    takes_null = policy is not None and policy.on_missing_column == "null"
    missing = [item.name for item in contract if item.name not in found and not (takes_null and item.nullable)]
    unnamed = [name for name in physical.names if name not in contract]
    for name in missing:
        message = f'"{held.owner}" lacks the column "{name}" of {held.called}'
        near = nearest(name, unnamed)
        hint = f'did you mean "{near}"?' if near else _missing_hint(policy, takes_null=takes_null)
        problems.append(
            held.problem(
                "CMP-230",
                message,
                hint,
                detail=f"it has {', '.join(physical.names) or 'no such columns'}.",
                column=name,
            )
        )
    new = [item.name for item in found if item.name not in contract]
    if new and policy is not None and policy.on_new_column == "fail":
        message = f'"{held.owner}" has {_listed(new)}, which {held.called} does not name'
        problems.append(held.problem("CMP-231", message, "on_new_column: ignore leaves it out, add takes it"))
    if policy is not None and policy.on_type_change == "fail":
        problems.extend(_type_changes(held))
    if problems:
        raise ConfigError.of(problems)


def _missing_hint(policy: SourceParams | None, *, takes_null: bool) -> str | None:
    if takes_null:
        return "a column that may be null is marked with `?` in the schema"
    return "on_missing_column: null takes null for it" if policy is not None else None


def _type_changes(held: _Held) -> list[Problem]:
    """Columns whose type holds values that the contract's type cannot. Text is parsed as the document's schema says; a column
    that was another one when it was recorded and is text now has changed.
    """
    return [
        held.problem(
            "CMP-232",
            f'column "{item.name}" of "{held.owner}" is {have.type}, {held.called} says {item.type}',
            "on_type_change: widen takes the type that holds both"
            if widen(relaxed(item.type), have.type)
            else "on_type_change: widen casts it, and rejects the values that do not fit",
            column=item.name,
        )
        for item in held.contract
        if (have := held.found.get(item.name)) is not None
        and not _holds(item, have)
        and not (_parsed(have) and not held.is_recorded)
    ]


def _widened(contract: Schema, found: Schema) -> Schema:
    """With types that hold what the contract's hold and what there is; its own where there is no such type."""
    fields = []
    for item in contract:
        have = found.get(item.name)
        both = None
        if have is not None and not _holds(item, have) and not _parsed(have):
            both = widen(relaxed(item.type), have.type)
        fields.append(replace(item, type=both) if both else item)
    return Schema(tuple(fields))


def _parsed(have: Field) -> bool:
    return str(have.type) in {"string", "json"}


def _listed(names: list[str]) -> str:
    return ("the column " if len(names) == 1 else "the columns ") + ", ".join(f'"{name}"' for name in names)


def _holds(item: Field, have: Field) -> bool:
    """Whether every value of the column is one of the contract's type; nulls are looked at apart."""
    return have.type == relaxed(item.type) or can_hold(relaxed(item.type), have.type)


def _bad(item: Field, have: Field) -> exp.Expr | None:
    """Whether a value that is there cannot be taken as it stands: there is no such value of the contract's type, or only
    one that is rounded or cut. None where the type holds them all.
    """
    if _holds(item, have):
        return None
    value = column(item.name)
    cast = exp.TryCast(this=value.copy(), to=to_duckdb(item.type))
    if relaxed(have.type) == as_text(relaxed(item.type)):
        return textual(item.type, Spelling()).differs(value, cast, tried=True)
    again = exp.TryCast(this=cast.copy(), to=to_duckdb(have.type))
    changed = _changed(value, again, item.type, have.type)
    lost = is_null(cast)
    return exp.and_(is_not_null(value), lost if changed is None else exp.or_(lost, changed))


def _changed(value: exp.Expr, again: exp.Expr, wanted: LogicalType, given: LogicalType) -> exp.Expr | None:
    """Whether a value that was cast there and back shows that it was rounded or cut. None: it shows nothing."""
    if isinstance(wanted, Decimal) and given in _FLOATS:
        off = call("abs", exp.Sub(this=again, expression=value.copy()))
        noise = exp.Mul(this=call("abs", value.copy()), expression=exp.Literal.number(_FLOAT_NOISE))
        return exp.GT(this=off, expression=noise)
    return exp.NullSafeNEQ(this=again, expression=value.copy()) if _shows_loss(wanted, given) else None


def _shows_loss(wanted: LogicalType, given: LogicalType) -> bool:
    """Whether the value that comes back differs exactly where something was lost. A float has the digits that it has, and
    a text is what a value looks like.
    """
    match wanted, given:
        case List(), List():
            return _shows_loss(wanted.element, given.element)
        case Map(), Map():
            return _shows_loss(wanted.key, given.key) and _shows_loss(wanted.value, given.value)
        case Struct(), Struct():
            fields = {field.name: field.type for field in given.fields}
            return fields.keys() == {field.name for field in wanted.fields} and all(
                _shows_loss(field.type, fields[field.name]) for field in wanted.fields
            )
        case Decimal(), _:
            return given not in (*_FLOATS, STRING, JSON)
        case _:
            return wanted == given or not ({wanted, given} & {STRING, JSON} or wanted in _FLOATS)


def _causes(item: Field, have: Field, mode: str) -> list[Cause]:
    value = column(item.name)
    causes: list[Cause] = []
    bad = _bad(item, have)
    on_fail: Literal["reject", "fail"] = "fail" if mode == "fail" else "reject"
    taken = _taken(item, have)
    if bad is not None and mode != "null":
        causes.append(
            Cause("bad_value", bad, shown(item.name, column(item.name), f"is no {item.type}"), item.name, on_fail)
        )
    becomes_null = bad is not None and mode == "null"
    if not item.nullable and (have.nullable or becomes_null):
        message = exp.Literal.string(f'"{item.name}" is null, and its schema does not allow that')
        causes.append(Cause("null_value", is_null(taken if becomes_null else value), message, item.name, on_fail))
    inside = has_forbidden_null(value if have.type == relaxed(item.type) else taken, item.type)
    if inside is not None:
        causes.append(
            Cause("null_value", inside, shown(item.name, column(item.name), "holds a null inside"), item.name, on_fail)
        )
    return causes


def _taken(item: Field, have: Field) -> exp.Expr:
    """The value in the contract's type; null where it is bad."""
    bad = _bad(item, have)
    cast = exp.TryCast(this=column(item.name), to=to_duckdb(item.type))
    return cast if bad is None else exp.Case().when(bad, exp.null()).else_(cast)


def _value(item: Field, have: Field | None, mode: str) -> Column:
    if have is None:
        return Column(item.name, exp.Cast(this=exp.null(), to=to_duckdb(item.type)))
    if have.type == relaxed(item.type):
        return Column(item.name, column(item.name))
    if mode == "null":
        return Column(item.name, _taken(item, have), never_null=not item.nullable)
    kind = exp.Cast if _holds(item, have) else exp.TryCast
    # The check before it let no row pass whose value would be null.
    return Column(item.name, kind(this=column(item.name), to=to_duckdb(item.type)), never_null=not item.nullable)


__all__ = ["enforce"]
