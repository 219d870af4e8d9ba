"""A sink for tests of compiling: documents with it are compiled, and the rows that would be sent to it are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness
from harness import Ran, Rows, TypingEngine

from penstock.compile.build import build
from penstock.compile.facts import Facts
from penstock.connectors.params import SinkParams
from penstock.document.read import Catalogue
from penstock.registry import Capability, Descriptor
from pipelines import pipeline_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.document.models import Pipeline
    from penstock.registry import Group
    from penstock.types import Schema

_SINKS = {
    name: Descriptor(
        name=name,
        group="sinks",
        summary="Takes rows of a test.",
        params=SinkParams,
        make=lambda *_: None,
        example=f"type: {name}",
        modes=("append", "merge", "overwrite", "overwrite_partitions"),
        capabilities=capabilities,
    )
    for name, capabilities in (
        ("table", frozenset({Capability.READ_BACK})),
        ("drain", frozenset()),
        ("safe", frozenset({Capability.ATOMIC_COMMIT})),
    )
}


def read(text: str) -> Pipeline:
    """Sources of type memory; sinks of type table, which can be read back, drain, which cannot, and safe, which commits
    rows and marker in one act.
    """
    known = harness.catalogue()

    def find(group: Group, name: str) -> Descriptor | None:
        return _SINKS.get(name) if group == "sinks" else known.find(group, name)

    names = Catalogue(find, lambda group: tuple(_SINKS) if group == "sinks" else known.names(group))
    return pipeline_of(text, catalogue=names)


def run(
    text: str,
    data: Mapping[str, Rows],
    output: str,
    *,
    sources: Mapping[str, Schema] | None = None,
    facts: Facts | None = None,
) -> Ran:
    """The rows of a node or, by a sink's name, those sent to it. ``sources``: columns that are found instead of those of
    the document's schemas.
    """
    pipeline = read(text)
    contracts = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    engine = TypingEngine()
    try:
        built = build(pipeline, facts or Facts(sources={**contracts, **(sources or {})}), engine)
        target = output if output in pipeline.sinks else built.graph.outputs[output]
        return harness._Run(built.graph, engine.connection, data).outcome(target, built.warnings)
    finally:
        engine.close()
