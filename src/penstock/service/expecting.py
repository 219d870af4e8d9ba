"""What a test expects of a node, beside what the node has: rows, their number, and the rows that it rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.compile.literal_rows import expected_rows
from penstock.document.tree import Mapping
from penstock.errors import ConfigError, InternalError, nearest
from penstock.graph.nodes import Check, Column, Filter, Limit, Project, Query, Sort, Write
from penstock.graph.select import violated
from penstock.service.differing import Difference, Reject, WantedReject, of_rejects, of_rows, rows_of
from penstock.service.naming import node_of
from penstock.structs import Frozen, replace
from penstock.trees import column, unused_name
from penstock.types import Field, Schema
from penstock.types.logical import BOOLEAN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Mapping as AbstractMapping

    import pyarrow as pa

    from penstock.document.models import Expectation, ExpectedReject
    from penstock.graph import Graph, Node

    Tables = AbstractMapping[str, pa.Table]

_MARK: Final = "__cause"


class Wanted(Frozen):
    """What one node is expected to have. ``node`` is whose rows count, ``rows`` are those expected, as a node of their own;
    ``rejects`` by id of the check that they belong to, each group with its rows as a node.
    """

    name: str
    expectation: Expectation
    node: str
    is_ordered: bool
    rows: Query | None
    rejects: AbstractMapping[str, tuple[Sequence[ExpectedReject], Query]]

    @classmethod
    def of(cls, name: str, expectation: Expectation, graph: Graph) -> Wanted:
        """Raises ConfigError CMP-201 (no such node), CMP-382 (a cause that it has not), CMP-203, CMP-258."""
        node = graph[node_of(name, graph, expectation.at)]
        if isinstance(node, Write):
            node = graph[node.input]
        rows = None
        if expectation.rows is not None:
            rows = replace(expected_rows(expectation.rows, _schema(node), owner=name), id=f"{name}:expected")
        rejects = _rejects(name, expectation.rejects or (), graph)
        return cls(name, expectation, node.id, _is_ordered(node, graph), rows, rejects)

    @property
    def nodes(self) -> Iterator[Node]:
        """To be put to the graph, and to be kept."""
        if self.rows is not None:
            yield self.rows
        for _, query in self.rejects.values():
            yield query

    def differences(self, tables: Tables, rejecting: Sequence[Rejecting]) -> Iterator[Difference]:
        expectation = self.expectation
        if self.rows is not None:
            places = [row.at for row in expectation.rows or ()]
            found, expected = tables[self.node], tables[self.rows.id]
            yield from of_rows(self.name, expected, found, places, ordered=self.is_ordered)
        many = tables[self.node].num_rows
        if expectation.count is not None and expectation.count != many:
            wanted, there = {"count": expectation.count}, {"count": many}
            yield Difference(self.name, "count", wanted, there, expectation.at)
        if expectation.rejects is not None:
            wanted_rejects = [one for check in self.rejects for one in self._wanted_of(check, tables)]
            own = [one for item in rejecting if self.owns(item.check.id) for one in item.rejects(tables)]
            yield from of_rejects(self.name, wanted_rejects, own)

    def owns(self, check: str) -> bool:
        """Whether the rejects of that check are told by this expectation."""
        return self.expectation.rejects is not None and _owns(self.name, check)

    def _wanted_of(self, check: str, tables: Tables) -> Iterator[WantedReject]:
        items, query = self.rejects[check]
        for item, row in zip(items, rows_of(tables[query.id]), strict=True):
            named = item.row.entries if item.row is not None else ()
            yield WantedReject(item.at, item.cause, item.column, {name: row[name] for name in named})


def _owns(name: str, check: str) -> bool:
    return check.startswith(f"{name}.") or check == name


def _rejects(
    name: str, wanted: Sequence[ExpectedReject], graph: Graph
) -> AbstractMapping[str, tuple[Sequence[ExpectedReject], Query]]:
    checks = [node for node in graph.nodes if isinstance(node, Check) and _owns(name, node.id)]
    groups: dict[str, list[ExpectedReject]] = {}
    for item in wanted:
        check = next((one for one in checks if any(cause.code == item.cause for cause in one.causes)), None)
        if check is None:
            raise _no_such_cause(name, item, [cause.code for one in checks for cause in one.causes])
        groups.setdefault(check.id, []).append(item)
    found = {}
    for check in checks:
        items = groups.get(check.id)
        if items:
            schema = _schema(graph[check.input]).select(_shown(check, graph))
            rows = expected_rows([item.row or Mapping({}, item.at) for item in items], schema, owner=name)
            found[check.id] = (items, replace(rows, id=f"{check.id}:expected"))
    return found


def _no_such_cause(name: str, item: ExpectedReject, known: Sequence[str]) -> ConfigError:
    near = nearest(item.cause, known)
    return ConfigError(
        "CMP-382",
        f'"{name}" rejects no row for "{item.cause}"',
        at=item.at,
        detail=f"it has the causes {', '.join(dict.fromkeys(known))}." if known else "it rejects no rows.",
        hint=f'did you mean "{near}"?' if near else None,
    )


def _shown(check: Check, graph: Graph) -> tuple[str, ...]:
    """The columns that a reject shows."""
    return check.record if check.record is not None else _schema(graph[check.input]).names


def _is_ordered(node: Node, graph: Graph) -> bool:
    while isinstance(node, Limit):
        node = graph[node.input]
    return isinstance(node, Sort) or (isinstance(node, Query) and node.query.args.get("order") is not None)


def _schema(node: Node) -> Schema:
    if node.schema is None:
        raise InternalError("INT-900", f'"{node.id}" has no columns yet')
    return node.schema


# ---------------------------------------------------------------- rejects


class Rejecting(Frozen):
    """A check of the graph, with nodes that give the rows which it rejects, beside them which cause each is rejected for."""

    check: Check
    marks: Project
    rows: Filter

    @classmethod
    def of(cls, check: Check, graph: Graph) -> Rejecting:
        schema = _schema(graph[check.input])
        names = _shown(check, graph)
        marks: dict[str, exp.Expr] = {}
        for cause in check.causes:
            marks[unused_name(f"{_MARK}{len(marks)}", names)] = violated([cause])
        columns = [*(Column(name, column(name)) for name in names), *(Column(*item) for item in marks.items())]
        marked = Schema((*schema.select(names), *(Field(name, BOOLEAN) for name in marks)))
        project = Project(f"{check.id}:causes", input=check.input, columns=tuple(columns), schema=marked)
        some = exp.or_(*map(column, marks))
        return cls(check, project, Filter(f"{check.id}:rejected", input=project.id, condition=some, schema=marked))

    def rejects(self, tables: Tables) -> list[Reject]:
        own = _schema(self.rows).names
        marks = own[len(own) - len(self.check.causes) :]
        causes = list(zip(marks, self.check.causes, strict=True))
        return [
            Reject(
                tuple((cause.code, cause.column) for mark, cause in causes if row[mark]),
                {name: value for name, value in row.items() if name not in marks},
            )
            for row in rows_of(tables[self.rows.id])
        ]

    def failures(self, tables: Tables) -> Iterator[Difference]:
        """Rows that would end a run."""
        failing = {cause.code for cause in self.check.causes if cause.on_fail == "fail"}
        for reject in self.rejects(tables):
            if any(cause in failing for cause, _ in reject.causes):
                yield Difference(self.check.id.partition(".")[0], "failure", None, reject.told())


def rejecting_of(graph: Graph, wanted: Sequence[Wanted]) -> tuple[Rejecting, ...]:
    """The checks whose rejects are asked for, and those above what is asked for that could end a run."""
    above = graph.upstream(*(item.node for item in wanted))
    checks = [node for node in graph.nodes if isinstance(node, Check) and node.causes]
    return tuple(
        Rejecting.of(check, graph)
        for check in checks
        if any(item.owns(check.id) for item in wanted) or (check.id in above and _ends_runs(check))
    )


def _ends_runs(check: Check) -> bool:
    return any(cause.on_fail == "fail" for cause in check.causes)
