"""The kinds of values a document's fields take: expressions, durations, sizes, shares, types, secrets.

Each is an annotated type for the pydantic models of connectors, steps and documents; each carries its JSON Schema, so
that completion in an editor and the reference page say the same as the validator.
"""

from __future__ import annotations

import re
from collections.abc import Callable  # noqa: TC003 -- pydantic evaluates the annotations here
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from penstock.errors import Location  # noqa: TC001 -- as above
from penstock.secret import Secret
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence


class Located(str):
    """A text of a document that remembers where it stands; ``place(offset, length)`` finds a part of it."""

    __slots__ = ("_sql", "at", "place")

    at: Location
    place: Callable[[int, int], Location]
    _sql: Callable[[], Located] | None

    @classmethod
    def of(
        cls,
        text: str,
        at: Location,
        place: Callable[[int, int], Location],
        *,
        sql: Callable[[], Located] | None = None,
    ) -> Located:
        """``sql`` gives the same text with its replaced placeholders written as SQL literals, where it has any."""
        located = cls(text)
        located.at = at
        located.place = place
        located._sql = sql
        return located

    def for_sql(self) -> Located:
        """The text as SQL: a value that took a placeholder's place is a literal of its type, never a piece of SQL."""
        return self._sql() if self._sql is not None else self


class Params(BaseModel):
    """Base of every parameter model: closed keys, frozen. Its validator is built when first used: a connector has many
    models, and a run uses few of them.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, validate_default=False, defer_build=True
    )


class AlsoCalled(Frozen):
    """Beside a field's type: what others call it. Who writes such a key is told the field's own name."""

    names: tuple[str, ...]


# ---------------------------------------------------------------- expressions


class ExpressionText(Frozen):
    """A SQL scalar expression in DuckDB's dialect, not yet parsed; ``place`` finds a part of it in the document. ``in_yaml``:
    or it was given by itself, where nothing need be said of YAML.
    """

    sql: str
    place: Callable[[int, int], Location] | None = None
    in_yaml: bool = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExpressionText) and other.sql == self.sql

    def __hash__(self) -> int:
        return hash(self.sql)

    @property
    def at(self) -> Location | None:
        """The whole of it."""
        return self.place(0, len(self.sql)) if self.place else None


def quote_text(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def read_expression(value: object) -> ExpressionText:
    """A field's value as an expression. Raises ValueError with what is expected."""
    match value:
        case ExpressionText():
            return value
        case Located():
            text = value.for_sql()
            return ExpressionText(str(text), text.place)
        case str():
            return ExpressionText(value)
        case None:
            return ExpressionText("NULL")
        case bool():
            return ExpressionText("TRUE" if value else "FALSE")
        case int():
            return ExpressionText(str(value))
        case float():
            return ExpressionText(repr(value) if value - value == 0 else f"'{value}'::DOUBLE")
        case {"text": str() as text, **rest} if not rest:
            return ExpressionText(quote_text(text))
        case _:
            raise ValueError("takes a SQL expression, a number, true, false, null, or {text: ...}")


_EXPRESSION_SCHEMA: Final[dict[str, Any]] = {
    "title": "SQL expression",
    "description": "A SQL scalar expression in DuckDB's dialect; text is {text: ...} or SQL-quoted.",
    "anyOf": [
        {"type": "string"},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
            "additionalProperties": False,
        },
    ],
}
Expression = Annotated[ExpressionText, PlainValidator(read_expression), WithJsonSchema(_EXPRESSION_SCHEMA)]

# ---------------------------------------------------------------- durations and sizes

# What a reference page calls these kinds of values.
DURATION: Final = "duration"
SIZE: Final = "size"
SHARE: Final = "share"

_DURATION: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*")
_DURATION_UNITS: Final = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 604_800),
}
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]i?B|B)\s*")
_SIZE_UNITS: Final = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", 1)},
    "KB": 1000,
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)},
    "kiB": 1024,
}


def parse_duration(value: object) -> timedelta:
    """``10 s``, ``7 days``: a number and a unit. Raises ValueError with what is expected."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2].lower() not in _DURATION_UNITS:
        raise ValueError('takes a duration: a number and a unit of ms, s, min, h, days, weeks, such as "10 s"')
    try:
        return timedelta(seconds=float(match[1]) * _DURATION_UNITS[match[2].lower()])
    except OverflowError:
        raise ValueError("the duration is longer than time itself; at most 999999999 days") from None


def duration_text(value: timedelta) -> str:
    """As a document would say it, in the largest unit of which it is a whole number.

    >>> duration_text(timedelta(hours=48)), duration_text(timedelta(seconds=90))
    ('2 days', '90 s')
    """
    milliseconds = round(value.total_seconds() * 1000)
    return in_largest_unit(
        milliseconds, (("days", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))
    )


def in_largest_unit(value: int, units: Sequence[tuple[str, int]]) -> str:
    """Of ``units`` (name, size), largest first, the first of which ``value`` is a whole number; the last has the size 1."""
    unit, size = next((unit, size) for unit, size in units if value % size == 0)
    return f"{value // size} {unit}"


def parse_size(value: object) -> int:
    """``64 MiB``, ``2 GB``: bytes. Raises ValueError with what is expected."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('takes a size: a number and a unit of B, kB, MB, GB, KiB, MiB, GiB, TiB, such as "64 MiB"')
    return int(float(match[1]) * _SIZE_UNITS[match[2]])


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "type": "string",
            "title": DURATION,
            "pattern": r"^\s*\d+(\.\d+)?\s*[A-Za-z]+\s*$",
            "examples": ["10 s", "7 days"],
        }
    ),
]
ByteSize = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema(
        {"title": SIZE, "anyOf": [{"type": "string", "examples": ["64 MiB"]}, {"type": "integer", "minimum": 0}]}
    ),
]

_SHARE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_WHOLE: Final = 100


def parse_share(value: object) -> Decimal:
    """``1 %``, ``0.5 %``: a part of the whole, 0 to 1. Raises ValueError with what is expected."""
    if isinstance(value, Decimal):
        return value
    match = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if match is None or Decimal(match[1]) > _WHOLE:
        raise ValueError('takes a share of at most 100 %, such as "1 %"')
    return Decimal(match[1]) / _WHOLE


Share = Annotated[
    Decimal,
    BeforeValidator(parse_share),
    WithJsonSchema({"type": "string", "title": SHARE, "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$", "examples": ["1 %"]}),
]

# ---------------------------------------------------------------- secrets


def reveal(value: str | Secret) -> str:
    """The text of a field that may hold a secret (URLs, headers, queries)."""
    return value.reveal() if isinstance(value, Secret) else value


class UnfitSecretError(ValueError):
    """A field that may hold a secret was given one that it cannot take; the message shows nothing of it."""


def unfit(value: object, message: str) -> ValueError:
    """For a validator of a field that may hold a secret: what is wrong with the value, which the message must not show."""
    return UnfitSecretError(message) if isinstance(value, Secret) else ValueError(message)


def _text_or_secret(value: Any) -> str | Secret:
    if isinstance(value, (str, Secret)):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    raise ValueError("takes text or a number")


TextOrSecret = Annotated[
    str | Secret,
    PlainValidator(_text_or_secret),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}),
]

# ---------------------------------------------------------------- names and maps of columns


def _name(value: object) -> str:
    if isinstance(value, str) and value:
        return value  # a Located stays one: pydantic's own str would forget the place
    raise ValueError("takes a name")


Name = Annotated[str, PlainValidator(_name), WithJsonSchema({"type": "string", "minLength": 1})]


class NamedExpression(Frozen):
    """``new: expression``."""

    name: str
    value: ExpressionText


def column_reference(name: str) -> ExpressionText:
    """The expression that is just this column, whatever characters its name has."""
    quoted = '"' + name.replace('"', '""') + '"'
    return ExpressionText(quoted, name.place if isinstance(name, Located) else None)


def _column_map(value: object) -> tuple[NamedExpression, ...]:
    if not isinstance(value, dict) or not value:
        raise ValueError("takes a map of columns, new: expression")
    return tuple(NamedExpression(_name(name), read_expression(text)) for name, text in value.items())


def _column_list(value: object) -> tuple[NamedExpression, ...]:
    if isinstance(value, str):
        value = [value]
    if isinstance(value, dict):
        return _column_map(value)
    if not isinstance(value, list) or not value:
        raise ValueError("takes a list of columns, each a name or {new: expression}, or one map of them")
    found: list[NamedExpression] = []
    for item in value:
        if isinstance(item, dict):
            found.extend(_column_map(item))
        else:
            found.append(NamedExpression(_name(item), column_reference(_name(item))))
    return tuple(found)


_MAP_SCHEMA: Final = {"type": "object", "minProperties": 1, "additionalProperties": _EXPRESSION_SCHEMA}
ColumnMap = Annotated[
    tuple[NamedExpression, ...],
    PlainValidator(_column_map),
    WithJsonSchema({**_MAP_SCHEMA, "description": "new: expression"}),
]
ColumnList = Annotated[
    tuple[NamedExpression, ...],
    PlainValidator(_column_list),
    WithJsonSchema(
        {
            "description": "Column names, or new: expression.",
            "anyOf": [
                {"type": "string"},
                {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, _MAP_SCHEMA]}},
                _MAP_SCHEMA,
            ],
        }
    ),
]


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise PydanticCustomError("names_type", "takes a list of column names")
    return tuple(_name(item) for item in value)


Names = Annotated[
    tuple[str, ...],
    PlainValidator(_names),
    PlainSerializer(list, return_type=list[str]),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}]},
    ),
]


def _expressions(value: object) -> tuple[ExpressionText, ...]:
    if not isinstance(value, (list, tuple)):
        value = [value]
    return tuple(read_expression(item) for item in value)


def _null_word(value: object) -> object:
    return "null" if value is None else value


# Before a Literal with the word "null": YAML reads `on_error: null` as null itself.
NullWord: Final = BeforeValidator(_null_word)

# `a desc`, `lower(b) asc nulls first`: parsed by the compiler as an ORDER BY list.
SortTexts = Annotated[
    tuple[ExpressionText, ...],
    PlainValidator(_expressions),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}]}),
]
