"""What the rooms hand each other is made of: structs, whose classes cost a start a fortieth of dataclasses (ADR 0043)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast, dataclass_transform

from msgspec import Struct, field, to_builtins

if TYPE_CHECKING:
    from dataclasses import replace  # a type checker knows by it which fields there are, and their types
else:
    from msgspec.structs import replace

__all__ = ["Frozen", "Mutable", "Selective", "asdict", "field", "replace"]

_PLAIN: Final = (bytes, date, datetime, time, timedelta, Decimal)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Frozen(Struct, frozen=True):
    """Values that never change: compared by their fields, hashed by them, printed with them."""


@dataclass_transform(field_specifiers=(field,))
class Mutable(Struct):
    """What keeps account while something is at work: its fields may be set anew."""


class Selective(Frozen, eq=False):
    """A value of which some fields are not compared (nor hashed), because they are no part of what it means, or are not
    printed, because they are long or secret.
    """

    uncompared: ClassVar[frozenset[str]] = frozenset()
    unprinted: ClassVar[frozenset[str]] = frozenset()

    @property
    def compared(self) -> tuple[object, ...]:
        """The values of the fields that are compared, in their order."""
        return tuple(getattr(self, name) for name in self.__struct_fields__ if name not in self.uncompared)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or self.compared == other.compared

    def __ne__(self, other: object) -> bool:
        return not self == other  # a struct's own asks no __eq__ that it inherits

    def __hash__(self) -> int:
        return hash((type(self), self.compared))

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What Rich prints, in tracebacks with locals as well: a struct's own has every field."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in self.unprinted]


def asdict(value: Frozen | Mutable) -> dict[str, Any]:
    """The fields by name, those of the values in it as well; dates, times, decimals and bytes stay what they are."""
    return cast("dict[str, Any]", to_builtins(value, builtin_types=_PLAIN))
