"""What is new in a source since the last sealed epoch: the parameter ``incremental``, which any source may have."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from penstock.fields import DURATION, Names, Params, parse_duration

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


# What a date or a moment may be sent as, besides a pattern.
MOMENT_FORMATS: Final = ("date", "seconds", "milliseconds")


def _lag(value: object) -> timedelta | float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return value
    try:
        found = parse_duration(value)
    except ValueError:
        raise ValueError('takes a duration such as "7 days", or for a cursor of numbers a number above 0') from None
    if not found:
        raise ValueError("takes more than no time at all")
    return found


Lag = Annotated[
    timedelta | int | float,
    PlainValidator(_lag),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "string",
                    "title": DURATION,
                    "pattern": r"^\s*\d+(\.\d+)?\s*[A-Za-z]+\s*$",
                    "examples": ["7 days"],
                },
                {"type": "number", "exclusiveMinimum": 0},
            ]
        }
    ),
]


class NewFiles(Params):
    """``incremental: {files: …}``: which files are new."""

    on_change: Literal["again", "ignore", "fail"] = Field(
        default="again",
        description="What a file does that has changed since it was read: it is read again as a whole, or not, or stops the run.",
    )
    same_content: Literal["read", "skip"] = Field(
        default="read",
        description="What a new file does whose content is that of a file which was read before: skip passes over it.",
    )


class Sending(Params):
    """How a service is asked for the new rows alone: one parameter of its requests."""

    query: str | None = Field(default=None, min_length=1, description="The query parameter that takes the value.")
    body: str | None = Field(default=None, min_length=1, description="The key of a POST's body that takes it.")
    format: str | None = Field(
        default=None,
        min_length=1,
        description="How it is written: date, seconds or milliseconds (since 1970), or a pattern such as %Y%m%d; without it ISO 8601, numbers and text as they are.",
    )

    @model_validator(mode="after")
    def _is_one(self) -> Sending:
        if (self.query is None) == (self.body is None):
            raise ValueError("takes query or body, one of the two")
        if self.format is not None and self.format not in MOMENT_FORMATS and "%" not in self.format:
            raise ValueError(f"takes format: {', '.join(MOMENT_FORMATS)}, or a pattern such as %Y-%m-%d")
        return self


class Incremental(Params):
    """One of ``files``, ``version`` and ``cursor``. Where the word alone says it all (``incremental: files``) it stands for
    the map.
    """

    files: NewFiles | None = Field(default=None, description="Each file once, by name, size, time and checksum.")
    version: Literal[True] | None = Field(default=None, description="The rows that later versions of a table added.")
    cursor: Names = Field(
        default=(),
        description="The column that grows with every new or changed row; further ones tell rows of the same value apart.",
    )
    lag: Lag | None = Field(
        default=None,
        description="How far behind the newest value rows may still come: so much is read again, for a sink that merges.",
    )
    initial: str | int | float | None = Field(default=None, description="The cursor's first value, the first time.")

    send: Sending | None = Field(
        default=None,
        description="The request parameter in which a service takes the first value that is wanted, so that it sends no older rows.",
    )

    @model_validator(mode="after")
    def _is_one(self) -> Incremental:
        if [self.files is not None, self.version is not None, bool(self.cursor)].count(True) != 1:
            raise ValueError("takes one of `files`, `version` and `cursor`")
        for name in ("lag", "initial", "send"):
            if not self.cursor and getattr(self, name) is not None:
                raise ValueError(f"takes `{name}` with a `cursor` only")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"enum": ["files", "version"]}, handler.resolve_ref_schema(handler(core))]}


def _spelled_out(value: object) -> object:
    if value == "files":
        return {"files": {}}
    if value == "version":
        return {"version": True}
    if isinstance(value, str):
        raise ValueError("takes `files`, `version`, or a map with a `cursor`")  # noqa: TRY004 -- pydantic's protocol
    return value


IncrementalParam = Annotated[
    Incremental | None,
    BeforeValidator(_spelled_out),
    Field(
        default=None,
        description="What each run reads: `files` (each once), what later versions of a table added (`version`), or the rows beyond a cursor; without it everything.",
    ),
]

__all__ = ["MOMENT_FORMATS", "Incremental", "IncrementalParam", "NewFiles", "Sending"]
