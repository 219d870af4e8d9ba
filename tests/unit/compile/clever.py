"""A source that takes columns and conditions into its read, and documents over it: for tests of the optimising passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness
import memory_sink
from sqlglot import exp

from penstock.compile.facts import Facts
from penstock.compile.pipeline import Compiled, compile_pipeline
from penstock.connectors.params import SourceParams
from penstock.document.read import Catalogue
from penstock.registry import Capability, Descriptor
from pipelines import pipeline_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.document.models import Pipeline
    from penstock.registry import Group
    from penstock.types import Schema

_SOURCES = {
    name: Descriptor(
        name=name,
        group="sources",
        summary="A source of tests.",
        params=SourceParams,
        make=lambda *_: None,
        example=f"type: {name}",
        capabilities=frozenset(capabilities),
    )
    for name, capabilities in {
        "clever": {Capability.PROJECTION, Capability.FILTER},
        "shifting": set[Capability](),
        "answering": {Capability.SPOOLS},
        "steady": {Capability.REPLAYABLE},
        "parquet": {Capability.REPLAYABLE, Capability.PROJECTION, Capability.COLUMNAR},
    }.items()
}


def read(text: str) -> Pipeline:
    """Sources of types clever (takes columns and conditions), shifting (cannot be read twice alike), answering (spools
    by itself), steady and parquet; sinks of type table, which can be read back, and drain, which cannot.
    """
    known = harness.catalogue()

    def find(group: Group, name: str) -> Descriptor | None:
        if group == "sources":
            return _SOURCES.get(name)
        return memory_sink._SINKS.get(name) if group == "sinks" else known.find(group, name)

    names = Catalogue(find, lambda group: tuple(_SOURCES) if group == "sources" else known.names(group))
    return pipeline_of(text, catalogue=names)


def compiled(
    text: str, found: Mapping[str, Schema], engine: harness.TypingEngine | None = None, *, optimise: bool = True
) -> Compiled:
    """The source takes every condition that has no ``abs`` in it."""
    facts = Facts(sources=found, takes=lambda _source, predicate: predicate.find(exp.Abs) is None)
    return compile_pipeline(read(text), facts, engine or harness.TypingEngine(), optimise=optimise)
