"""What a table keeps of a column's type, where its format has fewer types than a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

from penstock.errors import ConfigError
from penstock.types import Decimal, Field, List, Map, Primitive, Schema, Struct, StructField

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.types import Kind, LogicalType

# The types that come back as another one; None: there is no place for them.
Kept: TypeAlias = "Mapping[Kind, LogicalType | None]"


def kept_type(logical: LogicalType, kept: Kept) -> LogicalType | None:
    """The type as it comes back from a table; None where there is no place for it. Nested nullability is kept."""
    match logical:
        case Primitive():
            return kept.get(logical.kind, logical)
        case Decimal():
            return logical
        case List():
            element = kept_type(logical.element, kept)
            return element and List(element, logical.element_nullable)
        case Map():
            key, value = kept_type(logical.key, kept), kept_type(logical.value, kept)
            return key and value and Map(key, value, logical.value_nullable)
        case Struct():
            parts = [(part, kept_type(part.type, kept)) for part in logical.fields]
            fields = tuple(StructField(part.name, kind, part.nullable) for part, kind in parts if kind is not None)
            return Struct(fields) if len(fields) == len(parts) else None
        case _:
            assert_never(logical)


def kept_schema(schema: Schema, kept: Kept, system: str) -> Schema:
    """Every column as the ``system`` keeps it, labels dropped, nullable as it stands. Raises ConfigError SNK-110 by name."""
    fields = []
    for field in schema:
        found = kept_type(field.type, kept)
        if found is None:
            raise ConfigError(
                "SNK-110",
                f'{system} has no type for column "{field.name}" ({field.type})',
                hint=f"cast it to a type that {system} has, such as string, int64 or timestamp, before the sink",
            )
        fields.append(Field(field.name, found, field.nullable))
    return Schema(tuple(fields))
