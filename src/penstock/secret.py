"""A value that never shows itself: ``***`` in repr, str, format, JSON, pickle and tracebacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

MASK: Final = "***"


class Secret:
    """Wraps a text; only :meth:`reveal` gives it out, and callers pass that straight to a driver.

    Equal by content, so that plans with the same secret compare equal; unhashable by content on purpose.

    >>> f"{Secret('hunter2')} {Secret('hunter2')!r}"
    '*** ***'
    """

    __slots__ = ("_parts", "_value")

    def __init__(self, value: str, parts: tuple[str, ...] = ()) -> None:
        """``parts`` are the secrets within a longer text, such as a URL."""
        self._value = value
        self._parts = parts

    def reveal(self) -> str:
        """The text itself, for a driver's call; never store or log what this returns."""
        return self._value

    def hidden(self) -> tuple[str, ...]:
        """What no message may show: the text, and the secrets within it; as secret as what ``reveal`` returns."""
        return self._value, *self._parts

    def replace(self, old: str, new: str) -> Secret:
        """As of a text; the secrets within it stay known."""
        return Secret(self._value.replace(old, new), self._parts)

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(Secret)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Secret, (MASK,))

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __copy__(self) -> Secret:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A model's field of this type takes text or a Secret, and is dumped as ``***`` in every mode.

        pydantic_core is imported here and not above, since this module is a foundation.
        """
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            _secret_of, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "writeOnly": True, "examples": ["${secret.NAME}"]}


def _secret_of(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(str(value))
    raise ValueError("takes text, usually ${secret.NAME}")
