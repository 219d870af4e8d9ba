"""What compiling may know of the world: gathered by the service, handed in, never asked for by a pass.

Most facts can be gathered before compiling. Some depend on the document itself: a pivot without declared ``values`` has
the columns that its data say. For these, compiling stops with ``FactsNeededError`` and its requests; the service

1. runs each request's graph (``engine.sample(request.graph, request.node, inputs, request.rows)``, the ranges of the
   inputs being those that the epoch will read) and takes the column ``value`` of the result,
2. compiles again with ``facts.with_values({request.key: values, ...})``,

until compiling needs nothing more: each round answers at least one step, and a step is asked about once. Where reading is
not allowed (``validate`` offline) the values that the ledger recorded for the key may stand in, else
``FactsNeededError.as_error()`` is what the author reads. Compiling stays a pure function: the same facts give the same
graph, or the same requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import ConfigError, Problem
from penstock.structs import Frozen, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlglot import exp

    from penstock.connectors.api import Undivided
    from penstock.errors import Location, PenstockError
    from penstock.graph import Graph
    from penstock.types import Schema


def _takes_nothing(_source: str, _predicate: exp.Expr) -> bool:
    return False


def _divides(_source: str) -> None:
    return None


class Facts(Frozen):
    """``sources``: columns of each source as it stands now. ``targets``: columns of each sink's table, None or absent
    where there is none yet; ``refreshes``: this run gives it the columns that are sent, beside these. ``recorded``: what the ledger has as the contract of a source without one.
    ``takes(source, predicate)``: whether the source's read applies exactly this conjunct.
    ``undivided(source)``: why a series of epochs cannot cut it. ``pivot_values``: distinct
    values as text, by the id of the pivot's node, in any order, null as None.
    """

    sources: Mapping[str, Schema] = field(default_factory=dict)
    targets: Mapping[str, Schema | None] = field(default_factory=dict)
    refreshes: bool = False
    recorded: Mapping[str, Schema] = field(default_factory=dict)
    takes: Callable[[str, exp.Expr], bool] = _takes_nothing
    undivided: Callable[[str], Undivided | None] = _divides
    pivot_values: Mapping[str, Sequence[str | None]] = field(default_factory=dict)

    def with_values(self, found: Mapping[str, Sequence[str | None]]) -> Facts:
        """These facts and the answers to requests."""
        return replace(self, pivot_values={**self.pivot_values, **found})


class DistinctRequest(Frozen):
    """Asks for all rows of ``node``: one column ``value`` (string, nullable), each value once, unordered.

    ``graph`` is all that it takes, from Read nodes up. ``rows`` is how many to ask for, one more than the
    step takes.
    """

    key: str
    graph: Graph
    node: str
    rows: int
    at: Location | None = None


class MissingFactError(Exception):
    """A step stopped since its request must be answered first; the builder has recorded it."""


class FactsNeededError(Exception):
    """Nothing is wrong with the document so far, but compiling cannot go on before the requests are answered."""

    def __init__(self, requests: Sequence[DistinctRequest]) -> None:
        super().__init__(f"{len(requests)} facts must be read first")
        self.requests = tuple(requests)

    def as_error(self) -> PenstockError:
        """For a caller that may not read: ConfigError CMP-290 with every place."""
        return ConfigError.of(
            Problem(
                "CMP-290",
                "the values of the pivot are found by a first read, and nothing may be read here",
                at=request.at,
                hint="declare them: `values: [...]`",
            )
            for request in self.requests
        )
