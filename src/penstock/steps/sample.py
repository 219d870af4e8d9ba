"""Keeps some rows by chance, the same ones each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from penstock.graph.nodes import Sample
from penstock.registry import Descriptor
from penstock.steps.params import StepParams

if TYPE_CHECKING:
    from penstock.steps.api import Scope

_LARGEST_SEED = 2**63 - 1


class SampleParams(StepParams):
    """``sample: {rows: 100}`` or ``sample: {percent: 1, seed: 7}``."""

    rows: int | None = Field(default=None, ge=0, le=_LARGEST_SEED, description="Exactly so many rows stay.")
    percent: float | None = Field(
        default=None, ge=0, le=100, allow_inf_nan=False, description="About so many of a hundred rows stay."
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        le=_LARGEST_SEED,
        description="Another number gives other rows; default one of the step's own.",
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> SampleParams:
        if (self.rows is None) == (self.percent is None):
            raise ValueError("takes either rows or percent")
        return self


def make(params: SampleParams, scope: Scope) -> str:
    """One Sample: in = out + filtered. A row's chance depends on its content and the seed: equal rows share their lot."""
    seed = scope.seed if params.seed is None else params.seed
    return scope.add(Sample(scope.node_id(), input=scope.input, seed=seed, rows=params.rows, percent=params.percent))


SAMPLE = Descriptor(
    name="sample",
    group="steps",
    summary="Keeps some rows by chance, the same ones in every run.",
    params=SampleParams,
    make=make,
    example="sample: {percent: 1, seed: 7}",
    notes=("The same row with the same seed always has the same lot, so that equal rows stay or go together.",),
)
