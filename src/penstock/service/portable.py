"""What of a pipeline another engine does not run, as problems of its document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from penstock.errors import Problem
from penstock.graph.moment import at_moment

if TYPE_CHECKING:
    from penstock.engines.api import Engine
    from penstock.graph import Graph

_SOME_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)  # a run has its own: what asks for the time is a constant there


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
            hint="say it with what docs/reference/spark.md lists, or run the pipeline on DuckDB",
        )
        for found in refusals(at_moment(graph, _SOME_MOMENT), engine.schema_of)
    )


__all__ = ["unportable"]
