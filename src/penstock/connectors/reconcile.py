"""What a target is compared with, and how: the parameter ``reconcile``, which any sink may have that can be read back."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from penstock.fields import Name, Params


class Reconcile(Params):
    """The rows of a node as they are now beside those of the sink's table."""

    against: Name | None = Field(
        default=None, description="The source or transform whose rows count; without it those that the sink takes."
    )
    keys: list[Name] = Field(
        default_factory=list,
        description="The columns that tell rows apart; those of the sink without them, and without any the whole row.",
    )
    columns: list[Name] = Field(
        default_factory=list,
        description="The columns that are compared; without them all that both sides have, but json.",
    )
    on_difference: Literal["warn", "fail"] = Field(
        default="warn", description="What a difference does to a run whose rows are committed by then."
    )
    ranges: int = Field(default=64, ge=1, le=1024, description="Into how many ranges of keys the rows are divided.")

    @model_validator(mode="after")
    def _names_once(self) -> Reconcile:
        for name in ("keys", "columns"):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(f"{name} names a column twice")
        return self


__all__ = ["Reconcile"]
