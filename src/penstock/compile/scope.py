"""The graph under construction: what a step sees of it, and how each node is typed when it is added."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NoReturn

from penstock.compile.expressions import missing_column, parse, parse_order, resolve
from penstock.compile.facts import DistinctRequest, Facts, MissingFactError
from penstock.compile.typing import type_node
from penstock.compile.union import union_by_name
from penstock.engines.api import BindError
from penstock.errors import ConfigError, InternalError, Location, Problem, nearest
from penstock.fields import ExpressionText, Located
from penstock.graph import Graph
from penstock.graph.nodes import Aggregate, Column, Project, SortKey
from penstock.steps.collect import each
from penstock.structs import Mutable, field, replace
from penstock.trees import column as column_of
from penstock.trees import identifier, relation, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlglot import exp

    from penstock.engines.api import Engine
    from penstock.fields import NamedExpression
    from penstock.graph import Node
    from penstock.steps.api import Allows
    from penstock.types import LogicalType, Schema


class Builder(Mutable):
    """Nodes so far, in order, and the node that each name of the document stands for."""

    engine: Engine
    pipeline: str
    nodes: dict[str, Node] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)
    requests: list[DistinctRequest] = field(default_factory=list)

    def schema_of(self, node_id: str) -> Schema:
        schema = self.nodes[node_id].schema
        if schema is None:
            raise InternalError("INT-900", f'"{node_id}" has no columns yet')
        return schema

    def add(self, node: Node, text: Located | None = None) -> str:
        """Types the node against its inputs and keeps it. Raises located ConfigErrors (compile/typing.py)."""
        inputs = {name: self.schema_of(name) for name in node.inputs}
        self.nodes[node.id] = type_node(node, inputs, engine=self.engine, text=text)
        return node.id

    def unique_id(self, wanted: str) -> str:
        if wanted not in self.nodes:
            return wanted
        number = 2
        while f"{wanted}_{number}" in self.nodes:
            number += 1
        return f"{wanted}_{number}"

    def ask_for_values(self, key: str, input_id: str, *, value: exp.Expr, rows: int, at: Location | None) -> NoReturn:
        """Records what has to be read first (compile/facts.py). Raises MissingFactError, or ConfigError CMP-290 where
        no first read can know the values.
        """
        text = text_of(value)
        wanted = Aggregate(self.unique_id(f"{key}.values"), input=input_id, by=(Column("value", text),), measures=())
        node_id = self.add(wanted)
        graph = Graph(tuple(self.nodes.values()))
        part = graph.only(graph.upstream(node_id))
        if part.tables:
            raise ConfigError(
                "CMP-290",
                "the values cannot be found by a first read",
                at=at,
                detail=f'they come from the table of "{part.tables[0].sink}", to which this epoch adds.',
                hint="declare them: `values: [...]`",
            )
        self.requests.append(DistinctRequest(key, part, node_id, rows, at))
        raise MissingFactError(key)


class StepScope(Mutable):
    """Implements ``steps.api.Scope`` for one step of one transform."""

    builder: Builder
    owner: str  # the transform's name
    label: str  # the step's
    members: tuple[str, ...]
    at: Location | None
    resolve_name: Callable[[str, Location | None], str]
    united: str | None = None

    @property
    def input(self) -> str:
        if len(self.members) == 1:
            return self.members[0]
        if self.united is None:
            self.united = union_by_name(
                self.builder, self.builder.unique_id(f"{self.owner}.union"), ids=self.members, at=self.at
            )
        return self.united

    @property
    def schema(self) -> Schema:
        return self.builder.schema_of(self.input)

    @property
    def seed(self) -> int:
        import zlib

        return zlib.crc32(f"{self.builder.pipeline}/{self.owner}/{self.label}".encode())

    def node_id(self, part: str = "") -> str:
        return self.builder.unique_id(".".join(filter(None, (self.owner, self.label, part))))

    def add(self, node: Node, text: Located | None = None) -> str:
        return self.builder.add(node if node.at else replace(node, at=self.at), text)

    def schema_of(self, node_id: str) -> Schema:
        return self.builder.schema_of(node_id)

    def resolve(self, name: str) -> str:
        return self.resolve_name(name, name.at if isinstance(name, Located) else self.at)

    def expression(
        self, text: ExpressionText, *, allows: Allows = "scalar", schemas: Mapping[str, Schema] | None = None
    ) -> exp.Expr:
        return resolve(parse(text), text, schemas or {"": self.schema}, self.owner, allows=allows)

    def expressions(self, columns: Sequence[NamedExpression], *, allows: Allows = "scalar") -> tuple[Column, ...]:
        found: list[Column] = []
        problems: list[Problem] = []
        for item in columns:
            at = item.value.at or self.at
            try:
                found.append(Column(item.name, self.expression(item.value, allows=allows), at))
            except ConfigError as error:
                problems.extend(self._turned(item, problem) for problem in error.problems)
        if problems:
            raise ConfigError.of([*problems, *(self._refused(found) if allows == "scalar" else ())])
        return tuple(found)

    def _refused(self, columns: Sequence[Column]) -> Sequence[Problem]:
        """What the engine would say of the expressions that are right so far: all errors are told at once."""
        probe = Project(self.node_id("probe"), input=self.input, columns=tuple(columns), at=self.at)
        try:
            type_node(probe, {self.input: self.schema}, engine=self.builder.engine)
        except ConfigError as error:
            return error.problems
        return ()

    def _turned(self, item: NamedExpression, problem: Problem) -> Problem:
        """With the hint for a map that was written the other way round, ``old: new``."""
        value = item.value.sql.strip()
        seems_new = value.isidentifier() and value not in self.schema.names
        seems_old = item.name in self.schema.names or not item.name.replace(" ", "").isidentifier()
        if problem.code != "CMP-203" or not (item.value.in_yaml and seems_new and seems_old):
            return problem
        hint = f"the map reads new: from; write `{value}: {item.name}`"
        return replace(problem, hint=hint)

    def sort_keys(self, texts: Sequence[ExpressionText]) -> tuple[SortKey, ...]:
        def resolved(text: ExpressionText) -> tuple[SortKey, ...]:
            columns = {"": self.schema}
            return each(
                parse_order(text),
                lambda key: replace(key, value=resolve(key.value, text, columns, self.owner)),
            )

        return tuple(itertools.chain.from_iterable(each(texts, resolved)))

    def column(self, name: str) -> exp.Column:
        names = self.schema.names
        if name in names:
            return column_of(name)
        folded = [known for known in names if known.casefold() == name.casefold()]
        if len(folded) == 1:
            return column_of(folded[0])
        raise missing_column(name, list(names), owner=self.owner, at=name.at if isinstance(name, Located) else self.at)

    def carried(self, schema: Schema | None = None, *, without: Sequence[str] = ()) -> tuple[Column, ...]:
        fields = schema if schema is not None else self.schema
        return tuple(Column(item.name, column_of(item.name)) for item in fields if item.name not in without)

    def type(self, text: str) -> tuple[LogicalType, bool]:
        from penstock.types import parse_type

        return parse_type(str(text), at=text.at if isinstance(text, Located) else self.at)

    def type_of(self, tree: exp.Expr, schemas: Mapping[str, Schema] | None = None) -> LogicalType | None:
        from sqlglot import exp

        inputs = schemas or {"this": self.schema}
        first, *others = inputs
        select = exp.select(exp.alias_(tree.copy(), identifier("value"))).from_(relation(first))
        for other in others:
            select = select.join(relation(other), join_type="cross")
        try:
            return self.builder.engine.schema_of(select, inputs).fields[0].type
        except BindError:
            return None

    def query(self, text: Located) -> exp.Query:
        from penstock.compile.query import read_query

        return read_query(text, ("this",), taken=(self.input,)).tree

    def distinct(self, key: str, value: exp.Expr, *, most: int) -> tuple[str | None, ...]:
        known = self.builder.facts.pivot_values.get(key)
        if known is None:
            self.builder.ask_for_values(key, self.input, value=value, rows=most + 1, at=self.at)
        return tuple(sorted(known, key=lambda text: (text is None, text or "")))

    def fail(
        self, code: str, message: str, *, at: object = None, detail: str | None = None, hint: str | None = None
    ) -> NoReturn:
        raise ConfigError(code, message, at=_place(at) or self.at, detail=detail, hint=hint)


def _place(at: object) -> Location | None:
    match at:
        case Location():
            return at
        case Located():
            return at.at
        case ExpressionText() if at.place is not None:
            return at.place(0, len(at.sql))
        case _:
            return None


def unknown_node(name: str, known: Sequence[str], *, at: Location | None) -> ConfigError:
    """CMP-201 with the nearest name."""
    near = nearest(name, known)
    return ConfigError(
        "CMP-201",
        f'there is no node "{name}"',
        at=at,
        hint=f'did you mean "{near}"?' if near else None,
        detail=f"known nodes: {', '.join(known)}." if known else None,
    )
