"""What an engine does: it types a query without rows, and it runs a graph from inputs to writers, counting every node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa
    from sqlglot import exp

    from penstock.connectors.api import ColumnFigures, Json, Rows, Staged, Writer
    from penstock.graph import Graph
    from penstock.types import Schema

BindKind = Literal[
    "column",
    "function",
    "ambiguous",
    "type",
    "comparison",
    "table",
    "aggregate",
    "window",
    "syntax",
    "forbidden",
    "other",
]


class BindError(Exception):
    """The engine could not type a query; the compiler turns it into a located ConfigError.

    ``kind`` says why; ``subject`` is the name in question (a column, a function), ``candidates`` near names the engine
    knows, ``text`` the engine's own words.
    """

    def __init__(self, kind: BindKind, text: str, subject: str | None = None, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.subject = subject
        self.candidates = candidates


class Limits(Frozen):
    """What a run may use of the machine. ``temp_bytes`` None: as much as the disk gives."""

    memory_bytes: int
    threads: int
    temp_bytes: int | None = None


class NodeCounts(Frozen):
    """Rows of one node, exact: ``into`` by input id, ``out``; ``unmatched`` rows of a join by input id; ``empty`` rows of
    an explode whose list was empty or null; ``rejected`` records at a source that never became rows. A source's ``into``
    stands under the node's own id: the records that were handed over, by the input's own count where it has one, and as
    many as came out and were rejected where it has none. ``noted``: of a check, by the rule, rows that violate one which
    lets them pass; ``refused``, by the rule, rows that it rejected; ``measured``, by the rule, what one about all rows
    measured, by the metric, None where there was nothing to measure; ``broken``, by the rule, what is to be said of one that
    they violate; ``samples``, by the rule, some of the rows that are noted, by column, without values of labelled ones.
    ``columns``: of what a sink gets, as far as it is known without looking at it again.
    """

    into: Mapping[str, int]
    out: int
    unmatched: Mapping[str, int] = field(default_factory=dict)
    empty: int = 0
    rejected: int = 0
    noted: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    measured: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    samples: Mapping[str, Sequence[Mapping[str, Json]]] = field(default_factory=dict)
    columns: Mapping[str, ColumnFigures] = field(default_factory=dict)


class RejectStore(Protocol):
    """Where an engine puts rejected records while it runs (the ledger's reject store)."""

    def write(self, node: str, batch: pa.RecordBatch) -> None:
        """A batch with the columns of ``connectors.api.REJECT_COLUMNS``; called from any thread of the engine."""
        ...

    def clear(self, node: str) -> None:
        """Forget what this attempt wrote of that node so far: it is read anew."""
        ...


class Unkept:
    """A reject store that keeps nothing: for rows that are only looked at."""

    def write(self, node: str, batch: pa.RecordBatch) -> None: ...

    def clear(self, node: str) -> None: ...


class Progress(Protocol):
    """Told now and then how far a pass is; called from the main thread, at most some times a second."""

    def __call__(self, fraction: float | None, rows: int | None) -> None: ...


class Pass(Frozen):
    """One walk over a part of the graph: from its leaves to its Write nodes.

    ``materialize`` are the ids of nodes that several consumers share and that are computed once into a temporary table.
    ``careful`` are Read nodes whose files had malformed records before: they are read with care from the start.
    ``seed``: random numbers are drawn from it, the same ones whenever a node that draws them is run over the same rows;
    None: nobody compares them. ``ordered``: the rows of an input stand in an order that is to stay. ``own``: what a run asks
    for itself and no document says, such as the greatest value of a cursor; it is computed where the run is.
    """

    graph: Graph
    materialize: frozenset[str] = frozenset()
    careful: frozenset[str] = frozenset()
    seed: str | None = None
    ordered: bool = False
    own: bool = False


class Outcome(Frozen):
    """What a pass did: what each sink's writers staged, by sink name, and the counts by node id."""

    staged: Mapping[str, tuple[Staged, ...]]
    counts: Mapping[str, NodeCounts]


class FirstRows(Frozen):
    """The first rows of a node; ``rejected``: of what was read for them, how many rows each node refused, by node id."""

    table: pa.Table
    rejected: Mapping[str, int]


OpenWriter: TypeAlias = "Callable[[], Writer]"


class Engine(ABC):
    """Runs graphs. One instance per run; not thread-safe; ``close`` frees memory and removes its temporary folder."""

    name: str

    @property
    def local(self) -> Engine:
        """The engine of the machine on which the run is: itself, but of one for clusters."""
        return self

    @abstractmethod
    def schema_of(self, query: exp.Query, inputs: Mapping[str, Schema]) -> Schema:
        """The columns of a query over empty relations of these schemas (by the table names the query uses).

        Reads nothing. Raises BindError. Nullability is not decided here: every column comes back nullable.
        """

    @abstractmethod
    def run(
        self,
        work: Pass,
        *,
        inputs: Mapping[str, Sequence[Rows]],
        outputs: Mapping[str, OpenWriter],
        rejects: RejectStore,
        progress: Progress | None = None,
    ) -> Outcome:
        """Runs a pass: ``inputs`` by id of Read and Table nodes (one Rows per partition), ``outputs`` by sink name.

        A writer is opened when its turn comes, and once more where its rows must be read anew (the first was aborted).
        Every writer is staged when this returns; on any error every writer is aborted, nothing half-written is left
        behind, and one of the five error classes is raised. May be called again with the same inputs.
        """

    @abstractmethod
    def sample(self, graph: Graph, node: str, inputs: Mapping[str, Sequence[Rows]], rows: int) -> FirstRows:
        """The first rows of a node, nothing written; rejects are counted, none is kept."""

    @abstractmethod
    def interrupt(self) -> None:
        """Stop what runs, from another thread or a signal handler's; ``run`` then raises KeyboardInterrupt."""

    @abstractmethod
    def close(self) -> None:
        """Idempotent."""


__all__ = [
    "BindError",
    "BindKind",
    "Engine",
    "FirstRows",
    "Limits",
    "NodeCounts",
    "OpenWriter",
    "Outcome",
    "Pass",
    "Progress",
    "RejectStore",
    "Unkept",
]
