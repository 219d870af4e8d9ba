"""The base of a step's parameters: how the short form becomes the named one; and what several steps ask for."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import WithJsonSchema, model_validator

from penstock.fields import NullWord, Params

OnError = Annotated[
    Literal["reject", "null", "fail"], NullWord, WithJsonSchema({"enum": ["reject", "null", "fail", None]})
]


class StepParams(Params):
    """``short`` names the field that a value other than a map of named parameters fills.

    A map counts as named parameters if every key is the name of a field; where ``whole`` is true a map is always the
    value of ``short`` (``derive: {columns: 1}`` makes a column named "columns").
    """

    short: ClassVar[str | None] = None
    whole: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, value: Any) -> Any:
        if cls.short is None:
            return value
        named = isinstance(value, dict) and not cls.whole and set(value) <= cls._field_names()
        return value if named else {cls.short: value}

    @classmethod
    def _field_names(cls) -> set[str]:
        return {field.alias or name for name, field in cls.model_fields.items()}
