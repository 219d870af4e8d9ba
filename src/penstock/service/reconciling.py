"""``reconcile``: a sink's table beside the rows that its source gives now, by count, checksum and key.

Both sides are read once, each into a private file of keys and fingerprints; values are fetched by a second read, of the few
keys that are shown, where there are any. Of a source that is read incrementally, what epochs have taken of it counts; a key
of which it has rows by now that none has taken is told as newer, not as a difference.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.compile.reads import only
from penstock.compile.reconcile import (
    Comparison,
    check_reconcilable,
    comparison,
    digest,
    names_of,
    reconciled_pipeline,
)
from penstock.connectors.reconcile import Reconcile
from penstock.errors import ConfigError, DataError, InternalError, PenstockError, Problem, nearest
from penstock.graph import Graph
from penstock.graph.moment import at_moment
from penstock.graph.nodes import Project, Query, Table
from penstock.graph.span import in_ranges
from penstock.run.feeds import as_they_stand, beyond_sealed, up_to_sealed
from penstock.run.series import since
from penstock.secret import MASK
from penstock.service.comparing import SOURCE, TARGET, Beside, KeyRange, Kind, Side, Total
from penstock.service.copied import Copied
from penstock.service.families import parts
from penstock.service.given import without_ends
from penstock.service.masking import hidden_columns
from penstock.service.opening import opened
from penstock.service.sent_again import TURN, sent_again, together
from penstock.structs import Frozen, field, replace
from penstock.trees import call, column, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from penstock.compile.pipeline import Compiled
    from penstock.connectors.api import Position, Rows
    from penstock.document.assembly import Loaded
    from penstock.document.models import Pipeline
    from penstock.ledger.api import EpochRecord
    from penstock.service.opening import Opened
    from penstock.service.request import Request
    from penstock.types import Schema

SHOWN: Final = 20  # keys of each kind
_LETTERS: Final = 100  # of a value that is shown

__all__ = ["Example", "KeyRange", "Kind", "Reconciled", "Side", "Total", "reconcile", "reconcile_run", "reconcile_sink"]


class Example(Frozen):
    """One key that is not alike, as texts by column; ``values`` are (in the source, in the target) of the columns that
    differ, of rows without keys those of all columns. Values of labelled columns are ``***``.
    """

    kind: Kind
    key: Mapping[str, str | None]
    source: int
    target: int
    values: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        values = {name: {"source": one, "target": other} for name, (one, other) in self.values.items()}
        return {
            "kind": self.kind.value,
            "key": dict(self.key),
            "source_rows": self.source,
            "target_rows": self.target,
            "values": values,
        }


class Reconciled(Frozen):
    """What came of comparing a sink's table with ``against``. ``left_out`` has the columns that were not compared, and why;
    ``rejected`` the rows that nodes rejected on the way to the sink. ``source`` are the rows that the source gives,
    ``replayed`` those that it does not, and that the target should have since they were repaired and sent again: both
    together are what ``ranges`` call the source's.
    """

    pipeline: str
    sink: str
    against: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    left_out: Mapping[str, str]
    source: int
    target: int
    ranges: tuple[KeyRange, ...]
    totals: Mapping[Kind, Total] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)
    replayed: int = 0
    on_difference: str = "warn"
    warnings: tuple[Problem, ...] = ()

    @property
    def differences(self) -> int:
        """Keys that are not alike, and ought to be."""
        return sum(self.counts().values())

    def counts(self) -> Mapping[str, int]:
        """Keys by what is wrong with them."""
        return {kind.value: total.keys for kind, total in self.totals.items() if kind is not Kind.NEWER}

    @property
    def fails(self) -> bool:
        """Whether a run ends with an error for it."""
        return self.differences > 0 and self.on_difference == "fail"

    def summary(self) -> dict[str, Any]:
        """What the ledger remembers: no data."""
        return {
            "sink": self.sink,
            "against": self.against,
            "agrees": not self.differences,
            "rows": {"source": self.source, "target": self.target},
            "replayed": self.replayed,
            "ranges": {"all": len(self.ranges), "differing": sum(1 for one in self.ranges if not one.agrees)},
            "differences": {kind.value: total.keys for kind, total in self.totals.items()},
            "on_difference": self.on_difference,
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline,
            "sink": self.sink,
            "against": self.against,
            "keys": list(self.keys),
            "columns": list(self.columns),
            "left_out": dict(self.left_out),
            "agrees": not self.differences,
            "rows": {"source": self.source, "target": self.target},
            "differences": {
                kind.value: {"keys": total.keys, "source_rows": total.source, "target_rows": total.target}
                for kind, total in self.totals.items()
            },
            "examples": [example.to_json() for example in self.examples],
            "ranges": [_range_json(one) for one in self.ranges],
            "rejected": dict(self.rejected),
            "replayed": self.replayed,
            "on_difference": self.on_difference,
            "warnings": [problem.to_json() for problem in self.warnings],
        }


def _range_json(one: KeyRange) -> dict[str, Any]:
    sides = {"source": one.source, "target": one.target}
    return {
        "from": list(one.low) if one.low is not None else None,
        "to": list(one.high) if one.high is not None else None,
        "agrees": one.agrees,
        **{name: {"rows": side.rows, "checksum": side.checksum} for name, side in sides.items()},
    }


# ---------------------------------------------------------------- the use case


def reconcile(
    request: Request,
    sink: str | None = None,
    *,
    allow: Collection[str] = (),
    told: Callable[[str], None] = lambda _: None,
) -> tuple[Reconciled, ...]:
    """Of the sink, or of every one that says ``reconcile:``; of a document with ``tables:`` of every table. Nothing is
    written. Columns with labels show no values, but for those that ``allow`` names. ``told`` hears what is done next.

    Raises ConfigError CLI-180, CMP-420 to CMP-423, RUN-130, RUN-190, RUN-192; DataError RUN-197; and what reading raises.
    """
    with parts(request) as every:
        asked = [
            (part.loaded, name)
            for part in every.each
            for name, use in part.loaded.pipeline.sinks.items()
            if (name == sink if sink is not None else use.params.reconcile is not None)
        ]
        if not asked:
            raise _nothing_to_reconcile(every.loaded.pipeline, sink)
        return tuple(_one(request, loaded, name, allow=allow, told=told) for loaded, name in asked)


def _nothing_to_reconcile(pipeline: Pipeline, sink: str | None) -> ConfigError:
    if sink is None:
        return ConfigError(
            "CLI-180",
            f'no sink of "{pipeline.name}" says `reconcile:`',
            hint=f"name one: `penstock reconcile FILE {next(iter(pipeline.sinks), 'SINK')}`",
        )
    near = nearest(sink, pipeline.sinks)
    return ConfigError(
        "CLI-180",
        f'"{pipeline.name}" has no sink "{sink}"',
        detail=f"its sinks are {', '.join(pipeline.sinks)}." if pipeline.sinks else None,
        hint=f'did you mean "{near}"?' if near else None,
    )


def _one(
    request: Request, loaded: Loaded, sink: str, *, allow: Collection[str], told: Callable[[str], None]
) -> Reconciled:
    """Only what the sink and its source need is asked for and compiled."""
    asked = loaded.pipeline.sinks[sink].params.reconcile or Reconcile()
    names = (sink, asked.against) if asked.against in loaded.pipeline.names else (sink,)
    needed = replace(only(loaded.pipeline, names), rejects=None)
    with opened(request, replace(loaded, pipeline=needed)) as found:
        found.connect()
        compiled = found.compile(pipeline=reconciled_pipeline(needed, sink, asked))
        return reconcile_sink(found, compiled, sink, asked, allow=allow, told=told)


def reconcile_run(found: Opened, sink: str) -> Reconciled:
    """The same within a run, over the systems that it has opened. Errors as ``reconcile``."""
    asked = found.pipeline.sinks[sink].params.reconcile or Reconcile()
    compiled = found.compile(pipeline=reconciled_pipeline(found.pipeline, sink, asked))
    return reconcile_sink(found, compiled, sink, asked, shows=False)


def reconcile_sink(
    found: Opened,
    compiled: Compiled,
    sink: str,
    asked: Reconcile,
    *,
    allow: Collection[str] = (),
    told: Callable[[str], None] = lambda _: None,
    shows: bool = True,
) -> Reconciled:
    """``compiled``: what ``reconciled_pipeline`` asks for; ``shows``: whether keys are wanted, not their numbers alone. Errors
    as ``reconcile``.
    """
    check_reconcilable(compiled.written, compiled.pipeline, compiled.reduced, sink=sink, asked=asked)
    last, sealed = _sealed(found, sink)
    sides = _Sides.of(found, compiled, sink, asked, sealed)
    hidden = hidden_columns({item.name: item.labels for item in sides.comparison.columns}, allow)
    told(f"reading what {sink} should hold")
    given = sides.expected("given", up_to_sealed(sides.graph, sealed))
    told(f"reading {sink}")
    target = sides.found_rows(TARGET)
    again = sent_again(found, sink, sides.comparison, incarnation=last.incarnation, folder=sides.folder)
    adds = asked.against is None and str(found.pipeline.sinks[sink].params.mode) == "append"
    source = together(SOURCE, given, again.rows, target, comparison=sides.comparison, adds=adds, folder=sides.folder)
    beside = Beside(sides.comparison, source, target, sides.folder)
    told("comparing")
    ranges = beside.ranges(asked.ranges)
    totals: Mapping[Kind, Total] = {}
    examples: tuple[Example, ...] = ()
    if not all(one.agrees for one in ranges):
        different = beside.different(ranges)
        later = beyond_sealed(sides.graph, sealed)
        if later and different.rows:
            told("looking for newer rows")
            different = beside.without_newer(different, sides.expected("beyond", later))
        totals = beside.totals(different)
        if totals and shows:
            told("fetching the values that differ")
            examples = tuple(_examples(sides, beside, different, again=again.rows, kinds=tuple(totals), hidden=hidden))
    return Reconciled(
        found.pipeline.name,
        sink,
        asked.against or ", ".join(map(str, found.pipeline.sinks[sink].inputs)),
        names_of(sides.comparison.keys),
        names_of(sides.comparison.columns),
        dict(sides.comparison.left_out),
        given.rows,
        target.rows,
        _masked_ranges(ranges, sides.comparison, hidden),
        totals,
        examples,
        given.rejected,
        source.rows - given.rows,
        asked.on_difference,
        (*again.warnings, *_warnings(found, sink, last)),
    )


def _sealed(found: Opened, sink: str) -> tuple[EpochRecord, Mapping[tuple[str, str], Position]]:
    """The last sealed epoch and the positions after it. Raises ConfigError RUN-190, RUN-192."""
    use, memory = found.pipeline.sinks[sink], found.memory
    last = memory.last_sealed(found.key) if memory is not None else None
    # A sink that a refresh has just filled does not tell what was there before it.
    has_table = found.replaces or found.sinks[sink].describe() is not None
    if memory is None or last is None or not has_table:
        what = f'"{found.pipeline.name}" has sealed nothing yet' if last is None else f'"{sink}" has no table yet'
        raise ConfigError("RUN-190", f"{what}, so that there is nothing to compare", at=use.at, hint="run it first")
    sealed = memory.positions(found.key, last.incarnation)
    if since(sealed.values()) is not None:
        raise ConfigError(
            "RUN-192",
            f'a load of "{found.pipeline.name}" has been cut off in the midst of its series of epochs',
            hint="run the pipeline, which goes on with it; then reconcile",
        )
    return last, sealed


def _warnings(found: Opened, sink: str, last: EpochRecord) -> Iterator[Problem]:
    at = found.pipeline.sinks[sink].at
    newest = found.ledger.last_epoch(found.key, last.incarnation)
    if newest is not None and newest.sealed_at is None and sink in newest.sinks:
        yield Problem(
            "RUN-191",
            f'epoch {newest.number} of "{found.pipeline.name}" is not finished, and "{sink}" may have its rows already',
            at=at,
            hint="run the pipeline, which finishes it",
            severity="warning",
        )
    now = found.ledger.last_sealed(found.key)
    if now is not None and (now.incarnation, now.number) != (last.incarnation, last.number):
        yield Problem(
            "RUN-193",
            f'"{found.pipeline.name}" was run while "{sink}" was compared',
            at=at,
            detail="Rows of that run may stand among the differences.",
            severity="warning",
        )


# ---------------------------------------------------------------- the two sides


class _Sides(Frozen):
    """``graph`` gives the rows that the sink should hold, at its node ``node``; ``table`` is the sink's table."""

    found: Opened
    comparison: Comparison
    graph: Graph
    node: str
    sent: Schema
    table: Table
    held: Schema
    sealed: Mapping[tuple[str, str], Position]
    folder: Path

    @classmethod
    def of(
        cls,
        found: Opened,
        compiled: Compiled,
        sink: str,
        asked: Reconcile,
        sealed: Mapping[tuple[str, str], Position],
    ) -> _Sides:
        use = compiled.pipeline.sinks[sink]
        (write,) = (write for write in compiled.graph.writes if write.sink == sink)
        sent = compiled.written[write.id].schema
        held = _table_schema(found, sink)
        if sent is None:
            raise InternalError("INT-900", f'"{sink}" has no columns yet')
        compared = comparison(use, asked, sent, held)
        part = compiled.graph.only(compiled.graph.upstream(write.input))
        graph = at_moment(without_ends(part), found.request.clock.now())
        needed = held.select([name for name in held.names if name in names_of(compared.columns)])
        table = Table(f"{sink}.held", sink=sink, columns=needed.names, schema=needed.relaxed(), at=use.at)
        folder = Path(tempfile.mkdtemp(prefix=f"{sink}-", dir=found.scratch))
        return cls(found, compared, graph, write.input, sent, table, needed, sealed, folder)

    def expected(self, name: str, conditions: Mapping[str, exp.Expr]) -> Copied:
        """The keys and fingerprints of the rows that the ranges of ``conditions`` give."""
        node = self.comparison.fingerprints(self.node, self.sent)
        return self._copied(name, in_ranges(self.graph, conditions), node)

    def found_rows(self, name: str) -> Copied:
        """Those of the sink's table."""
        return self._copied(name, Graph((self.table,)), self.comparison.fingerprints(self.table.id, self.held))

    def _copied(self, name: str, graph: Graph, node: Project) -> Copied:
        return Copied.of(
            self.found.engine,
            Graph((*graph.nodes, node)),
            node.id,
            self.inputs(graph),
            schema=self.comparison.schema,
            into=self.folder / f"{name}.arrow",
        )

    def rows(self, side: str) -> tuple[Graph, Project]:
        """The values of that side, and the node that has them."""
        if side == TARGET:
            node = self.comparison.rows(self.table.id, self.held)
            return Graph((self.table, node)), node
        node = self.comparison.rows(self.node, self.sent)
        graph = in_ranges(self.graph, up_to_sealed(self.graph, self.sealed))
        return Graph((*graph.nodes, node)), node

    def inputs(self, graph: Graph) -> Mapping[str, Sequence[Rows]]:
        """Raises DataError RUN-197 where what was loaded of an incremental source is no longer there."""
        found = self.found
        try:
            return as_they_stand(graph, found.sources, sinks=found.sinks, scratch=self.folder, sealed=self.sealed)
        except PenstockError as error:
            if error.code != "SRC-110" or self.table in graph.nodes:
                raise
            raise DataError(
                "RUN-197",
                f'what "{self.table.sink}" should hold can no longer be known',
                at=self.table.at,
                detail=f"{error.problems[0].message}.",
                hint="keep what has been loaded where it was, or reconcile against a node that still has it",
            ) from None


def _table_schema(found: Opened, sink: str) -> Schema:
    table = found.sinks[sink].table()
    try:
        return table.describe()
    finally:
        table.close()


# ---------------------------------------------------------------- what is shown


def _examples(
    sides: _Sides,
    beside: Beside,
    different: Copied,
    *,
    again: Copied | None,
    kinds: Sequence[Kind],
    hidden: Collection[str],
) -> Iterator[Example]:
    compared = sides.comparison
    examples = beside.examples(different, kinds, SHOWN)
    wants_values = not compared.keys or Kind.DIFFERING in kinds
    values: dict[str, Mapping[tuple[str, int], Mapping[str, Any]]] = {SOURCE: {}, TARGET: {}}
    if wants_values:
        values = {side: _values(sides, beside, examples, side, hidden) for side in (SOURCE, TARGET)}
        if again is not None:  # of keys that the source does not give
            values[SOURCE] = {**_values_of(again, sides, beside, examples, hidden), **values[SOURCE]}
    for row in beside.shown(examples, _LETTERS):
        key = {
            item.name: MASK if item.name in hidden else row[place.name]
            for item, place in zip(compared.keys, compared.places, strict=False)
        }
        kind, at = Kind(row["kind"]), (row["kind"], row["place"])
        shown = _differing(compared, *(values[side].get(at) for side in (SOURCE, TARGET)))
        is_told = not compared.keys or kind is Kind.DIFFERING
        yield Example(kind, key, row[SOURCE], row[TARGET], shown if is_told else {})


def _values(
    sides: _Sides, beside: Beside, examples: Copied, side: str, hidden: Collection[str]
) -> dict[tuple[str, int], Mapping[str, Any]]:
    """Of each example the values on that side: texts, and what tells whether they are the same."""
    graph, node = sides.rows(side)
    return _asked(graph, node.id, sides.inputs(graph), sides, beside=beside, examples=examples, hidden=hidden)


def _values_of(
    again: Copied, sides: _Sides, beside: Beside, examples: Copied, hidden: Collection[str]
) -> dict[tuple[str, int], Mapping[str, Any]]:
    """The same of the rows that were sent again."""
    inputs = {again.read.id: again.parts}
    graph = Graph((again.read,))
    return _asked(graph, again.read.id, inputs, sides, beside=beside, examples=examples, hidden=hidden, latest=TURN)


def _asked(
    graph: Graph,
    node: str,
    inputs: Mapping[str, Sequence[Rows]],
    sides: _Sides,
    *,
    beside: Beside,
    examples: Copied,
    hidden: Collection[str],
    latest: str | None = None,
) -> dict[tuple[str, int], Mapping[str, Any]]:
    columns: dict[str, exp.Expr] = {}
    for place, item in enumerate(sides.comparison.columns):
        value = column(f"value{place}", node)
        text = call("left", text_of(value), exp.Literal.number(_LETTERS))
        columns[f"text{place}"] = exp.Literal.string(MASK) if item.name in hidden else text
        columns[f"sum{place}"] = call("hash", digest(value, item.kind))
    query = beside.values_query(node, examples.read.id, columns, latest=latest)
    ask = Query("values", tables={node: node, examples.read.id: examples.read.id}, query=query)
    whole = Graph((*graph.nodes, examples.read, ask))
    every = {**inputs, examples.read.id: examples.parts}
    table = sides.found.engine.sample(whole, ask.id, every, examples.rows).table
    return {(row["kind"], row["place"]): row["one"] for row in table.to_pylist()}


def _differing(
    compared: Comparison, one: Mapping[str, Any] | None, other: Mapping[str, Any] | None
) -> dict[str, tuple[str | None, str | None]]:
    """The columns whose values are not the same on both sides; of a row that is on one side alone, all."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for place, item in enumerate(compared.columns):
        sums = [side[f"sum{place}"] if side is not None else None for side in (one, other)]
        if sums[0] != sums[1] or not compared.keys:
            found[item.name] = (
                one[f"text{place}"] if one is not None else None,
                other[f"text{place}"] if other is not None else None,
            )
    return found


def _masked_ranges(ranges: Sequence[KeyRange], compared: Comparison, hidden: Collection[str]) -> tuple[KeyRange, ...]:
    names = names_of(compared.keys) or names_of(compared.columns)
    places = len(compared.places)
    masked = [name in hidden for name in names] if compared.keys else [bool(hidden)] * places

    def bound(key: tuple[str | None, ...] | None) -> tuple[str | None, ...] | None:
        if key is None:
            return None
        return tuple(
            MASK if is_hidden else text and text[:_LETTERS] for text, is_hidden in zip(key, masked, strict=False)
        )

    return tuple(KeyRange(bound(one.low), bound(one.high), one.source, one.target) for one in ranges)
