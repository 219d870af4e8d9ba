"""Adds computed columns behind the others; one of an existing name takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from penstock.errors import ConfigError, Problem
from penstock.fields import ColumnMap
from penstock.registry import Descriptor
from penstock.steps.params import StepParams
from penstock.steps.rewrite import rewrite
from penstock.structs import replace

if TYPE_CHECKING:
    from penstock.steps.api import Scope


class DeriveParams(StepParams):
    """``derive: {new: expression}``."""

    short: ClassVar[str | None] = "columns"
    whole: ClassVar[bool] = True

    columns: ColumnMap = Field(
        description="The new columns, new: expression; expressions see the columns that come in."
    )


def make(params: DeriveParams, scope: Scope) -> str:
    """One Project: in = out."""
    try:
        columns = scope.expressions(params.columns)
    except ConfigError as error:
        new = [item.name for item in params.columns]
        raise ConfigError.of(_explained(problem, new) for problem in error.problems) from None
    return rewrite(scope, columns)


def _explained(problem: Problem, new: list[str]) -> Problem:
    """A column that does not exist yet, since it is made by the same step, needs a step of its own before."""
    if problem.code == "CMP-203" and any(f'column "{name}" does not exist' in problem.message for name in new):
        return replace(problem, hint="the columns of one `derive` do not see each other: use a second one")
    return problem


DERIVE = Descriptor(
    name="derive",
    group="steps",
    summary="Adds computed columns, or gives columns another value.",
    params=DeriveParams,
    make=make,
    example="derive: {publisher: {text: EIA}, day: period::date}",
    short="columns",
    notes=("The expressions see the columns that come in, not each other.",),
)
