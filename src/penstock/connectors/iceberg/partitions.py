"""How an Iceberg table is divided: ``partition_by`` of a document, and the table's specification."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from penstock.fields import Located
from penstock.structs import Frozen
from penstock.types import Decimal, Kind, Primitive

if TYPE_CHECKING:
    from pyiceberg.transforms import Transform

    from penstock.types import LogicalType

_DATES: Final = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_MOMENTS: Final = frozenset({Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_WHOLE: Final = frozenset({Kind.INT32, Kind.INT64})
_IDENTITY: Final = frozenset({*_DATES, *_WHOLE, Kind.BOOLEAN, Kind.STRING, Kind.TIME})
# Which kinds of values each transform takes; decimals are said beside it.
_TAKES: Final = {
    "identity": _IDENTITY,
    "year": _DATES,
    "month": _DATES,
    "day": _DATES,
    "hour": _MOMENTS,
    "bucket": frozenset({*_DATES, *_WHOLE, Kind.STRING, Kind.UUID, Kind.BINARY}),
    "truncate": frozenset({*_WHOLE, Kind.STRING, Kind.BINARY}),
}
_TAKES_DECIMALS: Final = frozenset({"identity", "bucket", "truncate"})
_WITH_WIDTH: Final = frozenset({"bucket", "truncate"})
_SPELLED: Final = re.compile(r"(bucket|truncate)\[(\d+)\]")


class Division(Frozen):
    """One part of a table's division: a transform of one column; ``width`` is of bucket and truncate."""

    transform: str
    column: str
    width: int | None = None

    def __str__(self) -> str:
        if self.transform == "identity":
            return self.column
        shown = self.transform if self.width is None else f"{self.transform}[{self.width}]"
        return f"{shown}({self.column})"

    def takes(self, logical: LogicalType) -> bool:
        """Whether values of that type, as the table keeps them, can be divided so."""
        if isinstance(logical, Decimal):
            return self.transform in _TAKES_DECIMALS
        return isinstance(logical, Primitive) and logical.kind in _TAKES[self.transform]

    # ------------------------------------------------------------ as Iceberg has it

    def to_transform(self) -> Transform[Any, Any]:
        from pyiceberg.transforms import parse_transform

        return parse_transform(self.transform if self.width is None else f"{self.transform}[{self.width}]")

    @classmethod
    def of(cls, transform: Transform[Any, Any], name: str) -> Division | None:
        """None for a transform that is not computed here."""
        spelled = str(transform)
        if match := _SPELLED.fullmatch(spelled):
            return cls(match[1], name, int(match[2]))
        return cls(spelled, name) if spelled in _TAKES else None


# ---------------------------------------------------------------- as documents write it


def _read(value: object) -> Division:
    match value:
        case Division():
            return value
        case Located() | str() if value:
            return Division("identity", value)
        case {**only} if len(only) == 1:
            ((transform, given),) = only.items()
            return _transformed(str(transform), given)
    raise ValueError("takes a column, or a map such as {month: day_of_sale} or {bucket: [id, 16]}")


def _transformed(transform: str, given: object) -> Division:
    if transform not in _TAKES:
        raise ValueError(f"takes one of {', '.join(_TAKES)}")
    match given:
        case str() if given and transform not in _WITH_WIDTH:
            return Division(transform, given)
        case [str() as name, int() as width] if name and transform in _WITH_WIDTH and width > 0:
            return Division(transform, name, width)
    shown = f"{{{transform}: [column, 16]}}" if transform in _WITH_WIDTH else f"{{{transform}: column}}"
    raise ValueError(f"takes {shown}")


DivisionParam = Annotated[
    Division,
    PlainValidator(_read),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "properties": {
                        **{name: {"type": "string"} for name in _TAKES if name not in _WITH_WIDTH},
                        **{
                            name: {"type": "array", "minItems": 2, "maxItems": 2}
                            for name in _TAKES
                            if name in _WITH_WIDTH
                        },
                    },
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
