"""What of a pipeline another engine does not run, as problems of its document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import Problem

if TYPE_CHECKING:
    from penstock.engines.api import Engine
    from penstock.graph import Graph


def unportable(graph: Graph, engine: Engine) -> tuple[Problem, ...]:
    """An error for each part of an expression that is not known to mean the same on Spark, at its place (CMP-385).
    ``engine`` types the expressions.
    """
    from penstock.engines.spark.portability import refusals

    return tuple(
        Problem(
            "CMP-385",
            f'"{found.part.expression}" in "{found.node}" does not run on Spark',
            at=found.at,
            detail=f"{found.part.why[:1].upper()}{found.part.why[1:]}.",
        )
        for found in refusals(graph, engine.schema_of)
    )


__all__ = ["unportable"]
