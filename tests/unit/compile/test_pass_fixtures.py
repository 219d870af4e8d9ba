"""Golden texts of the optimising passes and of whole documents.

tests/fixtures/passes: a document, a border, and what each pass makes of its graph (only the nodes that it changed).
tests/fixtures/documents: a document, a border, and the SQL of every node that runs, in DuckDB's dialect and in Spark's.

``PENSTOCK_UPDATE_FIXTURES=1`` writes what compiling gives now into the files; look at the difference before you commit it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import clever
import harness
import pytest
from sqlglot import exp

from penstock.compile.facts import Facts
from penstock.compile.pipeline import OPTIMISING
from penstock.graph.nodes import Check, Read, Table
from penstock.graph.select import to_select
from penstock.service.inspecting import statements_of

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.graph import Graph, Node

_FOLDER = harness.FIXTURES
_PASSES = sorted((_FOLDER / "passes").glob("*.txt"))
_DOCUMENTS = sorted((_FOLDER / "documents").glob("*.txt"))


def _shown(node: Node) -> str:
    lines = [f"-- {node.id}: {node.kind} of {', '.join(item.name for item in node.schema or ())}"]
    match node:
        case Read() | Table():
            asked = f"columns {', '.join(node.columns)}" if node.columns is not None else "all columns"
            where = f" where {node.predicate.sql(dialect='duckdb')}" if node.predicate is not None else ""
            lines.append(f"-- asked for {asked}{where}")
        case _:
            lines.append(to_select(node).sql(dialect="duckdb"))
    if isinstance(node, Check):
        lines += [f"-- {cause.on_fail} {cause.code} of {cause.column}" for cause in node.causes]
    return "\n".join(lines) + "\n"


def _difference(before: Graph, after: Graph) -> str:
    gone = [f"-- {node.id}: gone\n" for node in before.nodes if node.id not in after.by_id]
    changed = [_shown(node) for node in after.nodes if before.by_id.get(node.id) != node]
    return "\n".join([*gone, *changed]) or "-- nothing\n"


def _passed(text: str) -> str:
    """The graph as it was written, then pass by pass what is other than before."""
    pipeline = clever.read(text)
    found = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    graph = clever.compiled(text, found, optimise=False).graph
    parts = ["### written\n\n" + "\n".join(map(_shown, graph.nodes))]
    facts = Facts(sources=found, takes=lambda _source, predicate: predicate.find(exp.Abs) is None)
    for change in OPTIMISING:
        after = change(graph, pipeline, facts)
        parts.append(f"### {change.__name__}\n\n{_difference(graph, after)}")
        graph = after
    return "\n".join(parts)


def _statements(text: str) -> str:
    pipeline = clever.read(text)
    found = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    nodes = [node for node in clever.compiled(text, found).graph.nodes if not isinstance(node, Read | Table)]
    return "\n".join(
        f"-- {node.id}: {dialect}\n{text}\n" for node in nodes for dialect, text in statements_of(node).items()
    )


def _compare(path: Path, text: str, expected: str, found: str) -> None:
    if os.environ.get("PENSTOCK_UPDATE_FIXTURES") == "1":
        path.write_text(f"{text.rstrip()}\n=====\n{found}", encoding="utf-8")
    else:
        assert found == expected


@pytest.mark.parametrize("path", _PASSES, ids=lambda path: path.stem)
def test_every_pass_changes_the_graph_as_expected(path: Path) -> None:
    text, expected = harness.fixture_parts(path)
    _compare(path, text, expected, _passed(text))


@pytest.mark.parametrize("path", _DOCUMENTS, ids=lambda path: path.stem)
def test_a_whole_document_compiles_to_the_expected_sql(path: Path) -> None:
    text, expected = harness.fixture_parts(path)
    _compare(path, text, expected, _statements(text))


def test_there_are_fixtures_of_every_pass() -> None:
    changed = {name for path in _PASSES for name in _changing(harness.fixture_parts(path)[1])}
    assert changed == {change.__name__ for change in OPTIMISING}
    assert len(_DOCUMENTS) >= 4


def _changing(expected: str) -> list[str]:
    """The passes that change something in a fixture."""
    sections = expected.split("### ")[2:]
    return [section.splitlines()[0] for section in sections if "-- nothing" not in section]
