"""From the document to the typed graph: names resolved in the order of their needs, steps expanded, every node typed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from penstock.compile.contract import enforce
from penstock.compile.facts import FactsNeededError, MissingFactError
from penstock.compile.incremental import begin, partial
from penstock.compile.merge_rules import reduce_to_keys
from penstock.compile.query import read_query
from penstock.compile.reconcile import unfit_to_reconcile
from penstock.compile.rules import demand
from penstock.compile.scope import Builder, StepScope, unknown_node
from penstock.compile.series import coming_whole, held_node, series_of, waits
from penstock.compile.union import union_by_name
from penstock.errors import ConfigError, InternalError, Location, Problem
from penstock.graph import Graph
from penstock.graph.nodes import Column, Project, Query, Read, Table, Write
from penstock.registry import Capability
from penstock.structs import Frozen, Mutable, field, replace
from penstock.trees import column
from penstock.types.compatibility import widen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.compile.facts import Facts
    from penstock.compile.series import Series
    from penstock.document.models import Pipeline, SinkUse, SourceUse, Transform
    from penstock.engines.api import Engine
    from penstock.types import Schema


class _FailedInputError(Exception):
    """An input could not be built; its own problem is recorded already, so this node says nothing."""


class _Build(Mutable):
    pipeline: Pipeline
    facts: Facts
    builder: Builder
    errors: list[Problem] = field(default_factory=list)
    underway: list[str] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    scoped: set[str] = field(default_factory=set)  # nodes that are meant over the rows of one epoch
    reduced: set[str] = field(default_factory=set)  # of them those that reduce a merge to one row per key

    def everything(self) -> None:
        for name in self.pipeline.names:
            self.attempt(name)

    def attempt(self, name: str) -> None:
        try:
            if name in self.pipeline.sinks:
                self.sink(self.pipeline.sinks[name])
            else:
                self.node(name, None)
        except ConfigError as error:
            self.errors.extend(error.problems)
            self.failed.add(name)
        except (_FailedInputError, MissingFactError):
            self.failed.add(name)

    def node(self, name: str, at: Location | None) -> str:
        """The id of the node that stands for a name, built now if it was not yet."""
        if name in self.failed:
            raise _FailedInputError
        if name in self.builder.outputs:
            return self.builder.outputs[name]
        if name not in self.pipeline.names:
            raise unknown_node(name, self.pipeline.names, at=at)
        if name in self.underway:
            circle = [*self.underway[self.underway.index(name) :], name]
            raise ConfigError("CMP-202", f"the nodes {' -> '.join(circle)} need each other", at=at)
        self.underway.append(name)
        try:
            return self._build(name, at)
        except ConfigError as error:
            self.errors.extend(error.problems)
            self.failed.add(name)
            raise _FailedInputError from None
        except MissingFactError:
            self.failed.add(name)
            raise _FailedInputError from None
        finally:
            self.underway.pop()

    def _build(self, name: str, at: Location | None) -> str:
        if name in self.pipeline.sources:
            node_id = self.source(self.pipeline.sources[name])
        elif name in self.pipeline.transforms:
            node_id = self.transform(self.pipeline.transforms[name])
        else:
            node_id = self.table(self.pipeline.sinks[name], at)
        self.builder.outputs[name] = node_id
        return node_id

    @contextmanager
    def meant(self, is_meant: bool = True) -> Iterator[None]:  # noqa: FBT001, FBT002 -- whether the block is one
        """What the block adds is meant over the rows of one epoch, where an epoch has new rows only."""
        with self.added() as added:
            yield
        if is_meant:
            self.scoped |= added

    @contextmanager
    def added(self) -> Iterator[set[str]]:
        """The ids of the nodes that the block adds."""
        before, found = set(self.builder.nodes), set[str]()
        yield found
        found |= self.builder.nodes.keys() - before

    # ------------------------------------------------------------ sources

    def source(self, use: SourceUse) -> str:
        physical = self.facts.sources.get(use.name)
        if physical is None:
            raise _FailedInputError
        contract = use.contract or self.facts.recorded.get(use.name)
        read = begin(self.builder, use, self.read(use, physical.relaxed(), contract), contract)
        if contract is not None:
            read = enforce(
                self.builder,
                read,
                contract,
                owner=use.name,
                policy=use.params,
                at=use.at,
                columns=use.columns if use.contract is not None else {},
                is_recorded=use.contract is None,
                physical=physical,
            )
        return self.ruled(use, read)

    def read(self, use: SourceUse, physical: Schema, contract: Schema | None) -> Read:
        """In the contract's order: where the source has its columns means nothing then, and is no other plan. Columns
        that the contract does not name and the policy ignores are not read: nothing in them can be bad.
        """
        whole = Read(use.name, source=use.name, at=use.at, places=use.places, schema=physical)
        if contract is None:
            return whole
        new = () if use.params.on_new_column == "ignore" else tuple(n for n in physical.names if n not in contract)
        columns = (*(name for name in contract.names if name in physical), *new)
        if not columns or columns == physical.names:
            return whole
        return replace(whole, columns=columns, schema=physical.select(columns))

    # ------------------------------------------------------------ transforms

    def transform(self, use: Transform) -> str:
        members: tuple[str, ...] = (self.query(use),) if use.sql is not None else self.members(use.inputs, use.at)
        for step in use.steps:
            scope = StepScope(self.builder, use.name, step.label, members, step.at, self.node)
            with self.meant("epoch" in (step.scope, use.scope)):
                members = (str(step.descriptor.make(step.params, scope)),)
        current = self.united(use.name, members, use.at)
        if use.contract is not None:
            current = enforce(self.builder, current, use.contract, owner=use.name, at=use.at, columns=use.columns)
        with self.meant(use.scope == "epoch"):
            return self.ruled(use, current)

    def ruled(self, use: SourceUse | Transform | SinkUse, node_id: str) -> str:
        return demand(
            self.builder, node_id, use.rules, owner=use.name, at=use.at, resolve_name=self.node, meant=self.meant
        )

    def members(self, names: Sequence[str], at: Location) -> tuple[str, ...]:
        return tuple(self.node(str(name), getattr(name, "at", at)) for name in names)

    def united(self, owner: str, members: tuple[str, ...], at: Location) -> str:
        if len(members) == 1:
            return members[0]
        return union_by_name(self.builder, self.builder.unique_id(f"{owner}.union"), ids=members, at=at)

    def inputs(self, owner: str, names: Sequence[str], at: Location) -> str:
        return self.united(owner, self.members(names, at), at)

    def query(self, use: Transform) -> str:
        if use.sql is None:
            raise InternalError("INT-900", f'"{use.name}" is no query')
        parsed = read_query(use.sql, self.pipeline.names)
        tables = {name: self.node(name, place) for name, place in parsed.tables.items()}
        query = Query(self.builder.unique_id(f"{use.name}.sql"), tables=tables, query=parsed.tree, at=use.sql.at)
        with self.meant(use.scope == "epoch"):
            return self.builder.add(query, use.sql)

    # ------------------------------------------------------------ sinks

    def table(self, use: SinkUse, at: Location | None) -> str:
        """The sink's table as an input: what stands there now and what this pipeline sends."""
        if Capability.READ_BACK not in use.descriptor.capabilities:
            raise ConfigError(
                "CMP-223",
                f'the sink "{use.name}" cannot be read back: {use.descriptor.name} is write-only',
                at=at,
                hint="read the node that the sink takes its rows from",
            )
        written = self.sink(use)
        sent = self.builder.schema_of(written)
        target = self.facts.targets.get(use.name)
        after = _after(target, sent, evolves=self.facts.refreshes or use.params.on_schema_change == "evolve")
        return self.builder.add(
            Table(f"{use.name}.table", sink=use.name, at=use.at, places=use.places, schema=after.relaxed())
        )

    def sink(self, use: SinkUse) -> str:
        if use.name in self.builder.nodes:
            return use.name
        current = self.inputs(use.name, use.inputs, use.at)
        if self.pipeline.run.epoch is not None and (self.facts.refreshes or waits(use)):
            carried = tuple(Column(name, column(name)) for name in self.builder.schema_of(current).names)
            current = self.builder.add(Project(held_node(use.name), input=current, columns=carried, at=use.at))
        if use.contract is not None:
            current = enforce(self.builder, current, use.contract, owner=use.name, at=use.at, columns=use.columns)
        current = self.ruled(use, current)
        if use.params.mode == "merge":
            with self.meant(), self.added() as added:
                current = reduce_to_keys(self.builder, use, current)
            self.reduced |= added
        return self.builder.add(Write(use.name, input=current, sink=use.name, at=use.at, places=use.places))


def _after(target: Schema | None, sent: Schema, *, evolves: bool) -> Schema:
    """The columns of a sink's table when the epoch is committed; what the sink would refuse is not decided here."""
    if target is None:
        return sent
    if not evolves:
        return target
    wider = (
        replace(item, type=widen(item.type, sent[item.name].type) or item.type) for item in target if item.name in sent
    )
    return target.with_fields([*wider, *(item for item in sent if item.name not in target)])


class Built(Frozen):
    """``series``: how epochs are cut from the load, None where the document asks for one, or it cannot be cut. ``scoped`` are
    the nodes that are meant over the rows of one epoch; of them ``reduced`` those that give a merge one row per key.
    """

    graph: Graph
    series: Series | None
    warnings: tuple[Problem, ...]
    scoped: frozenset[str]
    reduced: frozenset[str]


def build(pipeline: Pipeline, facts: Facts, engine: Engine) -> Built:
    """The typed graph, and what was found out on the way. Raises ConfigError with every error of the document (codes
    CMP-…); else, where something has to be read first, FactsNeededError.
    """
    builder = Builder(engine, pipeline.name, facts=facts)
    work = _Build(pipeline, facts, builder)
    work.everything()
    if work.errors:
        raise ConfigError.of(dict.fromkeys(work.errors))
    if builder.requests:
        raise FactsNeededError(builder.requests)
    graph = Graph(tuple(builder.nodes.values()), dict(builder.outputs))
    scoped, reduced = frozenset(work.scoped), frozenset(work.reduced)
    problems = (*partial(graph, pipeline, scoped), *unfit_to_reconcile(graph, pipeline, reduced))
    if problems:
        raise ConfigError.of(problems)
    series = series_of(graph, pipeline, work.reduced)
    if isinstance(series, Problem):
        return Built(graph, None, (*builder.problems, series), scoped, reduced)
    whole = coming_whole(graph, pipeline, series, facts) if series is not None else ()
    return Built(graph, series, (*builder.problems, *whole), scoped, reduced)
