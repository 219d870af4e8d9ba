"""A source that takes columns and conditions into its read, and documents over it: for tests of the optimising passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import memory_sink
from sqlglot import exp

import harness
from penstock.compile.facts import Facts
from penstock.compile.pipeline import Compiled, compile_pipeline
from penstock.connectors.params import SourceParams
from penstock.document.loader import load
from penstock.document.read import Catalogue, read_pipeline
from penstock.registry import Capability, Descriptor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.document.models import Pipeline
    from penstock.registry import Group
    from penstock.types import Schema

_CLEVER = Descriptor(
    name="clever",
    group="sources",
    summary="Takes columns and conditions into its read.",
    params=SourceParams,
    make=lambda *_: None,
    example="type: clever",
    capabilities=frozenset({Capability.PROJECTION, Capability.FILTER}),
)


def read(text: str) -> Pipeline:
    """Sources of type clever; sinks of type table, which can be read back, and drain, which cannot."""
    known = harness.catalogue()

    def find(group: Group, name: str) -> Descriptor | None:
        if group == "sources":
            return _CLEVER if name == "clever" else None
        return memory_sink._SINKS.get(name) if group == "sinks" else known.find(group, name)

    names = Catalogue(find, lambda group: ("clever",) if group == "sources" else known.names(group))
    return read_pipeline(load(text, "t.yml"), "t.yml", catalogue=names, read_file=lambda _: b"")


def compiled(
    text: str, found: Mapping[str, Schema], engine: harness.TypingEngine | None = None, *, optimise: bool = True
) -> Compiled:
    """The source takes every condition that has no ``abs`` in it."""
    facts = Facts(sources=found, takes=lambda _source, predicate: predicate.find(exp.Abs) is None)
    return compile_pipeline(read(text), facts, engine or harness.TypingEngine(), optimise=optimise)
