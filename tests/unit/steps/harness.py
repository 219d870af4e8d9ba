"""Runs steps without the engine: a document over rows of a test, compiled, then each node's SELECT in plain DuckDB.

    ran = run("- filter: a > 1", {"a": "int64?"}, [{"a": 1}, {"a": 2}])
    ran.rows, ran.schema, ran.rejected, ran.counts, ran.sql

Whatever runs here is checked on the way: the columns that compiling told of every node are those that DuckDB gives, and
a column told to be never null never is.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from penstock import registry
from penstock.compile.build import build
from penstock.compile.facts import Facts
from penstock.connectors.params import SourceParams
from penstock.document.read import Catalogue
from penstock.engines.api import Engine
from penstock.engines.duckdb.binder import schema_of
from penstock.errors import ConfigError, Problem
from penstock.graph.moment import at_moment
from penstock.graph.nodes import Cause, Check, Column, Python, Read
from penstock.graph.select import judged, projections, to_select
from penstock.registry import Descriptor
from penstock.trees import identifier, relation
from penstock.types.arrow import to_arrow
from penstock.types.duckdb import from_duckdb
from pipelines import pipeline_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from penstock.graph import Graph, Node
    from penstock.graph.nodes import TableRule
    from penstock.types import Schema

Rows = Sequence[Mapping[str, Any]] | pa.Table
Columns = Mapping[str, str]

_MEMORY = Descriptor(
    name="memory",
    group="sources",
    summary="Rows of a test.",
    params=SourceParams,
    make=lambda *_: None,
    example="type: memory",
)
# As the engine runs (architecture.md §5): our compiler owns pushdown.
_SETTINGS = (
    "SET disabled_optimizers='filter_pushdown,join_filter_pushdown,join_order'",
    "SET TimeZone='UTC'",
    "SET arrow_lossless_conversion=true",
    "SET threads=1",
)


@cache
def connect() -> duckdb.DuckDBPyConnection:
    """One connection for all tests of a process: opening one takes longer than what most tests do with it."""
    connection = duckdb.connect()
    for setting in _SETTINGS:
        connection.execute(setting)
    return connection


@dataclass(frozen=True)
class Other:
    """Another source of the document, beside ``rows``."""

    columns: Columns
    rows: Rows = ()


@dataclass(frozen=True)
class Rejected:
    """A row that a Check sent to rejects for one of its causes; one of several reasons stands several times."""

    node: str
    code: str
    column: str | None
    message: str
    row: dict[str, Any]
    on_fail: str


@dataclass(frozen=True)
class Ran:
    """``counts`` and ``sql`` by node id; ``nodes`` are those of the transform ``result``, in order."""

    rows: list[dict[str, Any]]
    schema: Schema
    table: pa.Table
    rejected: list[Rejected]
    counts: dict[str, int]
    graph: Graph
    warnings: tuple[Problem, ...] = ()
    judged: dict[str, dict[str, Any]] = field(default_factory=dict)  # of rules about all rows, by code

    @property
    def sql(self) -> dict[str, str]:
        return {node.id: to_select(node).sql(dialect="duckdb") for node in self.graph.nodes}

    @property
    def nodes(self) -> list[Node]:
        return [node for node in self.graph.nodes if node.id.startswith("result")]

    @property
    def types(self) -> dict[str, str]:
        """Column names to the document's spelling: ``{"a": "int64?"}``."""
        return {item.name: item.spelling for item in self.schema}


@dataclass
class TypingEngine(Engine):
    """An engine for compiling only: DuckDB's binder."""

    connection: duckdb.DuckDBPyConnection = field(default_factory=connect)
    name = "typing"

    def schema_of(self, query: exp.Query, inputs: Mapping[str, Schema]) -> Schema:
        return schema_of(self.connection, query, inputs)

    def run(self, *_: object, **__: object) -> Any:
        raise AssertionError("compiling moves no rows")

    def sample(self, *_: object, **__: object) -> Any:
        raise AssertionError("compiling moves no rows")

    def interrupt(self) -> None:
        self.connection.interrupt()

    def close(self) -> None:
        """The connection is that of all tests."""


# ---------------------------------------------------------------- documents


def document(steps: str, columns: Columns, others: Mapping[str, Other] | None = None) -> str:
    """A pipeline whose transform ``result`` reads the source ``rows`` through these steps (YAML text, a list)."""
    sources = {"rows": columns, **{name: other.columns for name, other in (others or {}).items()}}
    lines = ["pipeline: test", "sources:"]
    for name, types in sources.items():
        lines.append(f"  {name}:")
        lines.append("    type: memory")
        lines.append(f"    schema: {{columns: {json.dumps(dict(types), ensure_ascii=False)}}}")
    lines += ["transforms:", "  result:", "    from: rows", "    steps:"]
    return "\n".join(lines) + "\n" + textwrap.indent(textwrap.dedent(steps).strip(), " " * 6) + "\n"


def compile_document(text: str, engine: Engine | None = None) -> tuple[Graph, tuple[Problem, ...]]:
    """Any document whose sources are of type ``memory``; each source is found to have the columns of its schema."""
    pipeline = pipeline_of(text, catalogue=catalogue())
    sources = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    built = build(pipeline, Facts(sources=sources), engine or TypingEngine())
    return built.graph, built.warnings


def compile_steps(steps: str, columns: Columns, others: Mapping[str, Other] | None = None) -> Graph:
    return compile_document(document(steps, columns, others))[0]


def problems(steps: str, columns: Columns, others: Mapping[str, Other] | None = None) -> list[Problem]:
    """What is wrong with the steps; empty where they compile."""
    try:
        compile_document(document(steps, columns, others))
    except ConfigError as error:
        return list(error.problems)
    return []


def problem(steps: str, columns: Columns, others: Mapping[str, Other] | None = None) -> Problem:
    """The one thing that is wrong."""
    (found,) = problems(steps, columns, others)
    return found


def catalogue() -> Catalogue:
    """The installed steps, and the one source of the tests."""

    def find(group: registry.Group, name: str) -> Descriptor | None:
        if group == "sources":
            return _MEMORY if name == "memory" else None
        return registry.find(group, name)

    return Catalogue(find, lambda group: ("memory",) if group == "sources" else registry.names(group))


# ---------------------------------------------------------------- running


def run(
    steps: str,
    columns: Columns,
    rows: Rows = (),
    others: Mapping[str, Other] | None = None,
    *,
    folder: Path | None = None,
) -> Ran:
    """The rows that the steps make of ``rows``; ``folder`` is the project's, for python steps."""
    data = {"rows": rows, **{name: other.rows for name, other in (others or {}).items()}}
    return run_document(document(steps, columns, others), data, folder=folder)


def run_document(
    text: str,
    data: Mapping[str, Rows],
    output: str = "result",
    *,
    folder: Path | None = None,
    moment: datetime | None = None,
) -> Ran:
    """A whole document over the rows of its sources; rows of the node that ``output`` stands for. It is ``moment`` now."""
    engine = TypingEngine()
    graph, warnings = compile_document(text, engine)
    graph = graph if moment is None else at_moment(graph, moment)
    return _Run(graph, engine.connection, data, folder).outcome(graph.outputs[output], warnings)


@dataclass
class _Run:
    graph: Graph
    connection: duckdb.DuckDBPyConnection
    data: Mapping[str, Rows]
    folder: Path | None = None
    selects: dict[str, exp.Query] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    leaves: list[str] = field(default_factory=list)
    judged: dict[str, dict[str, Any]] = field(default_factory=dict)

    def clear(self) -> None:
        for name in self.leaves:
            self.connection.execute(exp.Drop(tables=[relation(name)], kind="TABLE").sql(dialect="duckdb"))

    def outcome(self, output: str, warnings: tuple[Problem, ...]) -> Ran:
        try:
            table = {node.id: self.node(node) for node in self.graph.nodes}[output]
        finally:
            self.clear()
        schema = self.graph[output].schema
        assert schema is not None
        return Ran(table.to_pylist(), schema, table, self.rejected, self.counts, self.graph, warnings, self.judged)

    def node(self, node: Node) -> pa.Table:
        match node:
            case Read():
                self.leaf(node.id, table_of(self.data[node.source], node.schema))
            case Python():
                self.leaf(node.id, self.call(node))
            case _:
                self.selects[node.id] = to_select(node)
        if isinstance(node, Check) and node.table_rules:
            others = {name: relation_of(name) for name in node.beside}
            self.judged |= self.fetch(judged(node, relation_of(node.input), others)).to_pylist()[0]
        table = self.verify(node)
        self.counts[node.id] = table.num_rows
        if isinstance(node, Check) and table.num_rows != self.counts[node.input]:
            for cause in node.causes:
                self.check(node, cause)
        return table

    def leaf(self, name: str, table: pa.Table) -> None:
        """``table`` as what the node's id means."""
        self.connection.register("__arrow", table)
        made = exp.Create(
            this=relation(f"leaf:{name}"), kind="TABLE", expression=exp.select("*").from_(relation("__arrow"))
        )
        self.connection.execute(made.sql(dialect="duckdb"))
        self.leaves.append(f"leaf:{name}")
        self.connection.unregister("__arrow")
        self.selects[name] = exp.select("*").from_(relation(f"leaf:{name}"))

    def call(self, node: Python) -> pa.Table:
        from penstock.engines.python_function import apply, load_function

        assert self.folder is not None
        table = self.fetch(relation_of(node.input))
        made = apply(node, load_function(node, self.folder), table.to_batches(), table.schema, folder=self.folder)
        return pa.Table.from_batches(list(made), schema=to_arrow(node.declared))

    def check(self, node: Check, cause: Cause) -> None:
        extra = (Column("__message", cause.message), Column("__violated", cause.violated))
        query = exp.select("*", *projections(extra)).from_(relation(node.input))
        wrapped = exp.select("*").from_(query.subquery("__checked")).where(exp.column("__violated", quoted=True))
        for row in self.fetch(wrapped).to_pylist():
            message = row.pop("__message")
            del row["__violated"]
            self.rejected.append(Rejected(node.id, cause.code, cause.column, message, row, cause.on_fail))

    def fetch(self, query: exp.Select) -> pa.Table:
        return self.connection.sql(self.statement(query)).to_arrow_table()

    def statement(self, query: exp.Select) -> str:
        """The query over all nodes so far, each a common table expression."""
        for name, select in self.selects.items():
            if name not in self.texts:
                self.texts[name] = f"{identifier(name).sql(dialect='duckdb')} AS ({select.sql(dialect='duckdb')})"
        return f"WITH {', '.join(self.texts.values())} {query.sql(dialect='duckdb')}"

    def verify(self, node: Node) -> pa.Table:
        """The rows of the node; its columns are as told, also in what is never null."""
        found = self.connection.sql(self.statement(relation_of(node.id)))
        assert node.schema is not None
        told = [(item.name, item.type) for item in node.schema.relaxed()]
        assert [(n, from_duckdb(str(t))) for n, t in zip(found.columns, found.types, strict=True)] == told, node.id
        table = found.to_arrow_table()
        for item in node.schema:
            nulls = table.column(node.schema.index(item.name)).null_count
            assert item.nullable or nulls == 0, f"{node.id}: {item.name} is told to be never null"
        return table


def relation_of(node_id: str) -> exp.Select:
    return exp.select("*").from_(relation(node_id))


def table_of(rows: Rows, schema: Schema | None) -> pa.Table:
    assert schema is not None
    if isinstance(rows, pa.Table):
        return rows
    return pa.Table.from_pylist([dict(row) for row in rows], schema=to_arrow(schema))


# ---------------------------------------------------------------- fixtures

FIXTURES = Path(__file__).parents[2] / "fixtures"
_BORDER = "\n=====\n"


def fixture_parts(path: Path) -> tuple[str, str]:
    """The document and what is expected of it, of a file ``document =====  nodes or problems``."""
    before, _, after = path.read_text(encoding="utf-8").partition(_BORDER)
    return before + "\n", after


def compiled_text(text: str) -> str:
    """Every node but the sources' as ``-- id: kind``, its columns and its SQL; or all problems as people see them."""
    try:
        graph, warnings = compile_document(text)
    except ConfigError as error:
        return f"{error}\n"
    shown = [_node_text(node) for node in graph.nodes if not isinstance(node, Read)]
    return "\n".join([*shown, *(f"{problem.render()}\n" for problem in warnings)])


def _rule_lines(rule: TableRule) -> Iterator[str]:
    beside = f" beside {rule.beside}" if rule.beside is not None else ""
    yield f"-- {rule.on_fail} {rule.code}{beside}: {rule.violated.sql(dialect='duckdb')}"
    yield from (f"--   {item.name}: {item.value.sql(dialect='duckdb')}" for item in rule.measures)
    yield f"--   {rule.message.sql(dialect='duckdb')}"
    for one in rule.baselines:
        yield f"--   {one.measure}: {one.sensitivity:g} {one.method} {one.side}, {one.min_history} of {one.window}"


def _node_text(node: Node) -> str:
    columns = ", ".join(str(item) for item in node.schema or ())
    lines = [f"-- {node.id}: {node.kind}", f"-- {columns}", to_select(node).sql(dialect="duckdb", pretty=True)]
    if isinstance(node, Check):
        for cause in node.causes:
            message = cause.message.sql(dialect="duckdb")
            lines.append(f"-- {cause.on_fail} {cause.code} of {cause.column}: {message}")
        lines += [f"-- {note.on_fail} {note.code}: {note.violated.sql(dialect='duckdb')}" for note in node.notes]
        lines += [line for rule in node.table_rules for line in _rule_lines(rule)]
    return "\n".join(lines) + "\n"
