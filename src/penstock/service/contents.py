"""What a room holds after runs: the rows of the sinks, the rejects, the account; and how two rooms differ."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlglot import exp

from penstock.connectors.api import Context
from penstock.errors import PenstockError
from penstock.graph import Graph
from penstock.graph.nodes import Query, Table
from penstock.run.feeds import as_they_stand
from penstock.service.families import parts
from penstock.service.ledgers import find_ledger, key_of
from penstock.service.opening import allowance_of
from penstock.structs import Frozen, Mutable, field
from penstock.trees import identifier
from penstock.types import INT64, Field, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from penstock.connectors.api import Sink
    from penstock.document.assembly import Loaded
    from penstock.engines.api import Engine
    from penstock.ledger.api import Ledger, NodeBalance, PipelineKey
    from penstock.service.request import Request

_EXPECTED: Final = "expected"
_FOUND: Final = "found"
Figures: TypeAlias = tuple[str, int, int, int, int, int]
Cause: TypeAlias = tuple[str, str, str | None]


class SinkDifference(Frozen):
    """``lost``: rows that should be there and are not; ``doubled``: rows that are there and should not be, or not so often.
    A row of which a value is another is both. ``columns`` is what differs in the columns, in words.
    """

    sink: str
    lost: int = 0
    doubled: int = 0
    columns: str | None = None

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.columns)


class Contents(Frozen):
    """Of one room; ``sinks`` by name (of many tables ``table/sink``), open within the block that looked."""

    sinks: Mapping[str, tuple[Sink, Schema | None]]
    epochs: int
    rejects: Mapping[Cause, int]
    account: Mapping[str, Figures]


class _Found(Mutable):
    sinks: dict[str, tuple[Sink, Schema | None]] = field(default_factory=dict)
    epochs: int = 0
    rejects: Counter[Cause] = field(default_factory=Counter)
    account: dict[str, Figures] = field(default_factory=dict)


@contextmanager
def looked_into(request: Request, loaded: Loaded, scratch: Path) -> Iterator[Contents]:
    """What the rooms of a document that was moved hold. Raises what asking the systems raises."""
    found = _Found()
    with ExitStack() as closing:
        ledger = find_ledger(loaded.project, loaded.ledger, request.clock)
        if ledger is not None:
            closing.callback(ledger.close)
        for part in closing.enter_context(parts(request, loaded)).each:
            above = f"{part.member}/" if part.member is not None else ""
            for name, use in part.loaded.pipeline.sinks.items():
                allowance = allowance_of(loaded, scratch)
                context = Context(name, loaded.paths.resolve, scratch, request.clock, allowance=allowance)
                sink = use.descriptor.make(use.params, context)
                closing.callback(_close, sink)
                found.sinks[above + name] = sink, sink.describe()
            if ledger is not None:
                _remembered(ledger, key_of(part.loaded), above, found)
        yield Contents(found.sinks, found.epochs, found.rejects, found.account)


def sealed(request: Request, loaded: Loaded) -> int:
    """How many epochs the room's ledger has sealed, over all parts of the document."""
    ledger = find_ledger(loaded.project, loaded.ledger, request.clock)
    if ledger is None:
        return 0
    try:
        with parts(request, loaded) as found:
            return sum(len(ledger.history(key_of(part.loaded), limit=_ALL)) for part in found.each)
    finally:
        ledger.close()


_ALL: Final = 2**31


def _close(sink: Sink) -> None:
    with suppress(PenstockError):
        sink.close()


def _remembered(ledger: Ledger, key: PipelineKey, above: str, found: _Found) -> None:
    for _, balance in ledger.history(key, limit=_ALL):
        found.epochs += 1
        for entry in balance:
            name = above + entry.node
            found.account[name] = _plus(found.account.get(name), entry)
    for reject in ledger.rejects(key):
        if reject.status == "kept":
            for (code, column), rows in reject.file.groups.items():
                found.rejects[above + reject.file.node, code, column] += rows


def _plus(sum_: Figures | None, entry: NodeBalance) -> Figures:
    _, into, out, filtered, same, rejected = sum_ or (entry.kind, 0, 0, 0, 0, 0)
    return (
        entry.kind,
        into + sum(entry.into.values()),
        out + entry.out,
        filtered + entry.filtered,
        same + entry.deduplicated,
        rejected + entry.rejected,
    )


# ---------------------------------------------------------------- differences


class _Question(Frozen):
    """``query`` gives one number, over the tables of ``sinks`` with these ``columns``, which it names as they are named here."""

    query: exp.Select
    sinks: Mapping[str, Sink]
    columns: Schema


class Comparison(Frozen):
    """Compares rooms with one engine, which may read them. ``unsteady``: by sink, columns that no two runs give alike (the
    time of a run), which are left out.
    """

    engine: Engine
    scratch: Path
    unsteady: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def sinks(self, expected: Contents, found: Contents) -> list[SinkDifference]:
        """As multisets of rows, types included; only sinks that differ."""
        every = dict.fromkeys((*expected.sinks, *found.sinks))
        questions: list[_Question] = []
        words: dict[str, str] = {}
        for number, name in enumerate(every):
            wanted, there = (_schema_of(contents, name) for contents in (expected, found))
            if wanted is not None and there is not None and _columns(wanted) != _columns(there):
                words[name] = f"expected {', '.join(_columns(wanted))}; found {', '.join(_columns(there))}"
            questions += self._of_sink(name, number, expected, found) if name not in words else [_NOTHING, _NOTHING]
        answers = iter(self._answers(questions))
        compared = (SinkDifference(name, next(answers), next(answers), words.get(name)) for name in every)
        return [one for one in compared if one]

    def unsteady_columns(self, one: Contents, other: Contents) -> dict[str, frozenset[str]]:
        """By sink, the columns whose values differ between two undisturbed runs."""
        found: dict[str, frozenset[str]] = {}
        for name in (difference.sink for difference in self.sinks(one, other)):
            schema = _schema_of(one, name)
            if schema is None or _schema_of(other, name) is None:
                continue
            pair = (one.sinks[name][0], other.sinks[name][0])
            questions = [_beyond(*pair, Schema((column,)), f"c{number}") for number, column in enumerate(schema)]
            names = zip(schema.names, self._answers(questions), strict=True)
            found[name] = frozenset(column for column, differing in names if differing)
        return {name: names for name, names in found.items() if names}

    def _of_sink(self, name: str, number: int, expected: Contents, found: Contents) -> list[_Question]:
        """How many rows are missing, and how many are there beyond those that are expected."""
        (one, wanted), (other, there) = (contents.sinks.get(name, _NO_SINK) for contents in (expected, found))
        if one is None or wanted is None:
            return [_NOTHING, _count(other, there, f"s{number}")]
        if other is None or there is None:
            return [_count(one, wanted, f"s{number}"), _NOTHING]
        left_out = self.unsteady.get(name, frozenset())
        compared = Schema(tuple(column for column in wanted if column.name not in left_out))
        return [_beyond(one, other, compared, f"s{number}"), _beyond(other, one, compared, f"t{number}")]

    def _answers(self, questions: Sequence[_Question]) -> list[int]:
        """In one query: each would need a database of its own."""
        sinks = {name: sink for question in questions for name, sink in question.sinks.items()}
        if not sinks:
            return [0] * len(questions)
        tables = [
            Table(name, sink=name, columns=question.columns.names or None, schema=question.columns)
            for question in questions
            for name in question.sinks
        ]
        values = (question.query.subquery().as_(f"a{place}") for place, question in enumerate(questions))
        schema = Schema(tuple(Field(f"a{place}", INT64) for place in range(len(questions))))
        answer = Query("answer", tables={name: name for name in sinks}, query=exp.select(*values), schema=schema)
        graph = Graph((*tables, answer), {})
        inputs = as_they_stand(graph, {}, sinks=sinks, scratch=self.scratch)
        (row,) = self.engine.sample(graph, "answer", inputs, 1).table.to_pylist()
        return [int(row[name]) for name in schema.names]


_NO_SINK: Final[tuple[None, None]] = (None, None)
_NOTHING: Final = _Question(exp.select(exp.Literal.number(0)), {}, Schema(()))


def _schema_of(contents: Contents, sink: str) -> Schema | None:
    return contents.sinks.get(sink, _NO_SINK)[1]


def _beyond(one: Sink, other: Sink, columns: Schema, name: str) -> _Question:
    """How many rows the first has beyond the second."""
    tables = {f"{name}_{_EXPECTED}": one, f"{name}_{_FOUND}": other}
    first, second = (_all(columns, table) for table in tables)
    both = exp.Except(this=first, expression=second, distinct=False)
    return _Question(_number_of(both.subquery("both")), tables, columns)


def _count(sink: Sink | None, schema: Schema | None, name: str) -> _Question:
    if sink is None or schema is None:
        return _NOTHING
    return _Question(_number_of(exp.to_table(name)), {name: sink}, schema)


def _number_of(rows: exp.Expr) -> exp.Select:
    return exp.select(exp.Count(this=exp.Star())).from_(rows)


def _columns(schema: Schema) -> list[str]:
    return [f"{column.name}: {column.type}" for column in schema]


def _all(columns: Schema, table: str) -> exp.Select:
    """Where no column is left their number is what is compared."""
    values: list[exp.Expr] = [exp.column(identifier(name)) for name in columns.names] or [exp.Literal.number(1)]
    return exp.select(*values).from_(exp.to_table(table))
