"""Which type holds which, the smallest type that holds two, and what changed between two schemas.

A type holds another when every value of the other has exactly one equal value in it: nothing is rounded, cut, moved in
time or turned into text. So none of these hold: ``timestamp`` a ``date`` (a day is not a moment, and dates reach
further), ``timestamptz`` a ``timestamp`` (the zone is unknown), ``float64`` an ``int64`` (53 bits) or a ``decimal`` with
digits after the point, ``string`` a number. ``string`` holds ``json``, which is text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from penstock.structs import Frozen
from penstock.types.logical import (
    FLOAT32,
    FLOAT64,
    JSON,
    MAX_PRECISION,
    STRING,
    Decimal,
    Kind,
    List,
    LogicalType,
    Map,
    Primitive,
    Struct,
    StructField,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.types.schema import Field, Schema

# Smallest and largest value of each integer type, the smaller types first.
_INTEGERS: Final[dict[Kind, tuple[int, int]]] = {
    Kind.INT8: (-(2**7), 2**7 - 1),
    Kind.UINT8: (0, 2**8 - 1),
    Kind.INT16: (-(2**15), 2**15 - 1),
    Kind.UINT16: (0, 2**16 - 1),
    Kind.INT32: (-(2**31), 2**31 - 1),
    Kind.UINT32: (0, 2**32 - 1),
    Kind.INT64: (-(2**63), 2**63 - 1),
    Kind.UINT64: (0, 2**64 - 1),
}
# Every whole number up to this magnitude is exact.
_EXACT_UP_TO: Final[dict[Kind, int]] = {Kind.FLOAT32: 2**24, Kind.FLOAT64: 2**53}


# ---------------------------------------------------------------- holding


def can_hold(target: LogicalType, source: LogicalType) -> bool:
    """Whether every value of ``source`` is exactly representable in ``target``; reflexive and transitive.

    Structs are compared by field name, not by order; a field that only the target has must be nullable there.
    """
    match target, source:
        case List(), List():
            return _place_holds(target.element, target.element_nullable, source.element, source.element_nullable)
        case Map(), Map():
            return can_hold(target.key, source.key) and _place_holds(
                target.value, target.value_nullable, source.value, source.value_nullable
            )
        case Struct(), Struct():
            return _struct_holds(target, source)
        case ((Primitive() | Decimal()), (Primitive() | Decimal())):
            return target == source or (target, source) == (STRING, JSON) or _number_holds(target, source)
        case _:
            return False


def _place_holds(target: LogicalType, target_nullable: bool, source: LogicalType, source_nullable: bool) -> bool:  # noqa: FBT001 -- two places, each a type and its mark
    return (target_nullable or not source_nullable) and can_hold(target, source)


def _struct_holds(target: Struct, source: Struct) -> bool:
    given = {field.name: field for field in source.fields}
    for field in target.fields:
        other = given.pop(field.name, None)
        if other is None and not field.nullable:
            return False
        if other is not None and not _place_holds(field.type, field.nullable, other.type, other.nullable):
            return False
    return not given


def _number_holds(target: Primitive | Decimal, source: Primitive | Decimal) -> bool:
    if (target, source) == (FLOAT64, FLOAT32):
        return True
    bounds = _bounds(source)
    if bounds is None:
        return False
    scale = source.scale if isinstance(source, Decimal) else 0
    if isinstance(target, Decimal):
        return target.scale >= scale and target.precision - target.scale >= _whole_digits(source)
    if scale:
        return False
    if target.kind in _EXACT_UP_TO:
        return max(-bounds[0], bounds[1]) <= _EXACT_UP_TO[target.kind]
    limits = _INTEGERS.get(target.kind)
    return limits is not None and limits[0] <= bounds[0] and bounds[1] <= limits[1]


def _bounds(number: Primitive | Decimal) -> tuple[int, int] | None:
    """The whole numbers between which all values lie; None for floats and for what is no number."""
    if isinstance(number, Decimal):
        most = 10 ** (number.precision - number.scale) - (1 if number.scale == 0 else 0)
        return -most, most
    return _INTEGERS.get(number.kind)


def _whole_digits(number: Primitive | Decimal) -> int:
    """Digits before the point; 0 for what is no exact number."""
    if isinstance(number, Decimal):
        return number.precision - number.scale
    bounds = _INTEGERS.get(number.kind)
    return len(str(bounds[1])) if bounds else 0


# ---------------------------------------------------------------- widening


def widen(one: LogicalType, other: LogicalType) -> LogicalType | None:
    """The smallest type that holds both, or None where only a loss would bring them together.

    Commutative and idempotent; ``can_hold(widen(a, b), a)``. Integers of both signs meet in the next signed type (above
    64 bits in ``decimal(20,0)``), integers and decimals in a decimal with the digits of both, exact numbers and floats
    in a float whose mantissa has room. Structs meet in a struct with the fields of both, where a field that one side
    lacks is nullable; the order is that of the side that holds the other, else of the side whose names sort first.
    """
    match one, other:
        case List(), List():
            element = widen(one.element, other.element)
            return element and List(element, one.element_nullable or other.element_nullable)
        case Map(), Map():
            key, value = widen(one.key, other.key), widen(one.value, other.value)
            return key and value and Map(key, value, one.value_nullable or other.value_nullable)
        case Struct(), Struct():
            return _widen_structs(one, other)
        case ((Primitive() | Decimal()), (Primitive() | Decimal())):
            return next((held for held in _above(one, other) if can_hold(held, one) and can_hold(held, other)), None)
        case _:
            return None


def _above(one: Primitive | Decimal, other: Primitive | Decimal) -> Iterator[LogicalType]:
    """Candidates, the best first: the two, an integer for two integers, a decimal with the digits of both, floats."""
    yield from (one, other)
    if isinstance(one, Primitive) and isinstance(other, Primitive):
        yield from (Primitive(kind) for kind in _INTEGERS)
    scale = max(number.scale if isinstance(number, Decimal) else 0 for number in (one, other))
    precision = scale + max(_whole_digits(one), _whole_digits(other))
    if 1 <= precision <= MAX_PRECISION:
        yield Decimal(precision, scale)
    yield from (FLOAT32, FLOAT64)


def _widen_structs(one: Struct, other: Struct) -> LogicalType | None:
    first, second = _in_order(one, other)
    given = {field.name: field for field in second.fields}
    fields: list[StructField] = []
    for field in first.fields:
        match = given.pop(field.name, None)
        common = field.type if match is None else widen(field.type, match.type)
        if common is None:
            return None
        fields.append(StructField(field.name, common, field.nullable or match is None or match.nullable))
    fields.extend(StructField(field.name, field.type) for field in second.fields if field.name in given)
    return Struct(tuple(fields))


def _in_order(one: Struct, other: Struct) -> tuple[Struct, Struct]:
    """The struct whose order is kept, first; the same whichever way round they come."""
    holds, held = can_hold(one, other), can_hold(other, one)
    if holds != held:
        return (one, other) if holds else (other, one)
    first, second = sorted((one, other), key=lambda struct: [field.name for field in struct.fields])
    return first, second


# ---------------------------------------------------------------- changes between schemas


class ColumnAdded(Frozen):
    """The new schema has it, the old one has not."""

    field: Field

    def __str__(self) -> str:
        return f'column "{self.field.name}" is new ({self.field.spelling})'


class ColumnMissing(Frozen):
    """The old schema has it, the new one has not."""

    field: Field

    def __str__(self) -> str:
        return f'column "{self.field.name}" is missing (it was {self.field.spelling})'


class TypeWidened(Frozen):
    """The new type holds every value of the old one; nullability inside it counts, its own does not."""

    old: Field
    new: Field

    def __str__(self) -> str:
        return f'column "{self.new.name}" is wider: {self.new.type} instead of {self.old.type}'


class TypeNarrowed(Frozen):
    """The old type holds every value of the new one, so that nothing is lost where the old type stays."""

    old: Field
    new: Field

    def __str__(self) -> str:
        return f'column "{self.new.name}" is narrower: {self.new.type} instead of {self.old.type}'


class TypeChanged(Frozen):
    """Neither holds the other."""

    old: Field
    new: Field

    def __str__(self) -> str:
        return f'column "{self.new.name}" has another type: {self.new.type} instead of {self.old.type}'


class NullabilityLoosened(Frozen):
    """Nulls may come where none could."""

    old: Field
    new: Field

    def __str__(self) -> str:
        return f'column "{self.new.name}" may now be null'


class NullabilityTightened(Frozen):
    """No nulls where some could come."""

    old: Field
    new: Field

    def __str__(self) -> str:
        return f'column "{self.new.name}" is never null any more'


class RenameSuspected(Frozen):
    """A missing and a new column whose names differ in case only; both are reported as missing and as new, too."""

    old: Field
    new: Field

    def __str__(self) -> str:
        return f'column "{self.old.name}" may now be called "{self.new.name}"'


class Reordered(Frozen):
    """The columns that both have come in another order: ``old`` and ``new`` name them all, in each order."""

    old: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        place = next(place for place, (old, new) in enumerate(zip(self.old, self.new, strict=True)) if old != new)
        return f'columns come in another order, from "{self.new[place]}" on, where "{self.old[place]}" was'


Change: TypeAlias = (
    ColumnAdded
    | ColumnMissing
    | TypeWidened
    | TypeNarrowed
    | TypeChanged
    | NullabilityLoosened
    | NullabilityTightened
    | RenameSuspected
    | Reordered
)


def diff(old: Schema, new: Schema) -> tuple[Change, ...]:
    """What changed, none where the schemas agree in names, types, nullability and order (labels do not count).

    Columns of ``old`` in their order (missing, type, nullability), then new ones in theirs, suspicions, the order.
    """
    changes: list[Change] = []
    for field in old:
        other = new.get(field.name)
        changes.extend([ColumnMissing(field)] if other is None else _changes_of(field, other))
    changes.extend(ColumnAdded(field) for field in new if field.name not in old)
    changes.extend(_suspicions(old, new))
    before = tuple(name for name in old.names if name in new)
    after = tuple(name for name in new.names if name in old)
    if before != after:
        changes.append(Reordered(before, after))
    return tuple(changes)


def _changes_of(old: Field, new: Field) -> Iterator[Change]:
    if old.type != new.type:
        yield _type_change(old, new)
    if new.nullable and not old.nullable:
        yield NullabilityLoosened(old, new)
    if old.nullable and not new.nullable:
        yield NullabilityTightened(old, new)


def _type_change(old: Field, new: Field) -> Change:
    if can_hold(new.type, old.type):
        return TypeWidened(old, new)
    if can_hold(old.type, new.type):
        return TypeNarrowed(old, new)
    return TypeChanged(old, new)


def _suspicions(old: Schema, new: Schema) -> Iterator[RenameSuspected]:
    arrived: dict[str, Field] = {}
    for field in new:
        if field.name not in old:
            arrived.setdefault(field.name.casefold(), field)
    for field in old:
        match = arrived.get(field.name.casefold())
        if field.name not in new and match is not None:
            yield RenameSuspected(field, match)
