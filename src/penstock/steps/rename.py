"""Gives columns other names; their places and values stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from penstock.fields import Name
from penstock.graph.nodes import Column, Project
from penstock.registry import Descriptor
from penstock.steps.collect import each
from penstock.steps.params import StepParams
from penstock.trees import column

if TYPE_CHECKING:
    from penstock.steps.api import Scope

NewNames = Annotated[dict[Name, Name], Field(min_length=1)]


class RenameParams(StepParams):
    """``rename: {new: old}``."""

    short: ClassVar[str | None] = "columns"
    whole: ClassVar[bool] = True

    columns: NewNames = Field(description="The new name of each column and its old one, new: old.")


def make(params: RenameParams, scope: Scope) -> str:
    """One Project: in = out. Raises ConfigError CMP-203 (no such column), CMP-209 (two columns of one name), CMP-250."""
    new_by_old: dict[str, str] = {}
    known_by_new = each(params.columns.items(), lambda item: (item[0], _exact(scope, *item)))
    for new, known in known_by_new:
        if known in new_by_old:
            scope.fail(
                "CMP-250",
                f'column "{known}" gets two new names, "{new_by_old[known]}" and "{new}"',
                at=new,
                hint="a copy is made by the step `derive`",
            )
        new_by_old[known] = new
    columns = tuple(
        Column(
            str(new_by_old.get(item.name, item.name)), column(item.name), getattr(new_by_old.get(item.name), "at", None)
        )
        for item in scope.schema
    )
    return scope.add(Project(scope.node_id(), input=scope.input, columns=columns))


def _exact(scope: Scope, new: str, old: str) -> str:
    names = scope.schema.names
    if old not in names and new in names and old.casefold() not in {name.casefold() for name in names}:
        scope.fail(
            "CMP-203",
            f'column "{old}" does not exist',
            at=old,
            hint=f"the map reads new: old; write `{old}: {new}`",
            detail=f'"{new}", on the left, does exist.',
        )
    return scope.column(old).name


RENAME = Descriptor(
    name="rename",
    group="steps",
    summary="Gives columns other names.",
    params=RenameParams,
    make=make,
    example="rename: {price_date: period, price_usd: value}",
    short="columns",
)
