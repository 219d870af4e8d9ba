"""What a run will do, as data: walked by the runtime, printed by ``penstock plan``, compared by tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.compile.guarantee import Delivery
    from penstock.compile.series import Series
    from penstock.errors import Problem
    from penstock.graph import Graph


class Spool(Frozen):
    """A source that could not be read a second time is written to a file first; that file is its range."""

    source: str
    because: str


class Keep(Frozen):
    """A node whose rows could fall otherwise if they were computed again is written to a file before a sink commits; all
    sinks that need it read that file, also when the epoch is finished by a later run.
    """

    node: str
    because: str


class Shared(Frozen):
    """A node that several statements of a pass need: kept in a table, or read twice where that is cheaper."""

    node: str
    how: Literal["kept", "read again"]
    because: str


class Pass(Frozen):
    """One walk of the engine from ``reads`` and ``tables`` (node ids) to ``sinks``; ``nodes`` in graph order."""

    number: int
    nodes: tuple[str, ...]
    reads: tuple[str, ...]
    tables: tuple[str, ...]
    sinks: tuple[str, ...]
    shared: tuple[Shared, ...]

    @property
    def kept(self) -> frozenset[str]:
        return frozenset(item.node for item in self.shared if item.how == "kept")


class Commit(Frozen):
    """One atomic act: the rows that a pass sent to a sink, and the epoch's marker. ``action`` is for people, and so is
    ``place``: where the sink's table lies, where that is not this machine.
    """

    sink: str
    type: str
    mode: str
    action: str
    place: str | None = None


class Seal(Frozen):
    """Receipts, balance and positions into the ledger, in one transaction."""


class Acknowledge(Frozen):
    """Strictly after the seal: the sources may forget what was read."""

    sources: tuple[str, ...]


Stage: TypeAlias = Spool | Keep | Pass | Commit | Seal | Acknowledge


class Plan(Frozen):
    """One epoch of a pipeline. ``hash`` is SHA-256 (hex), the same in every process and on every machine."""

    pipeline: str
    graph: Graph
    stages: tuple[Stage, ...]
    delivery: Delivery
    hash: str
    sources: Mapping[str, str]  # name to connector
    replayable: frozenset[str] = frozenset()  # sources that give the same rows whenever a range is read again
    warnings: tuple[Problem, ...] = ()
    series: Series | None = None  # a long load is cut into epochs

    @property
    def passes(self) -> tuple[Pass, ...]:
        return tuple(stage for stage in self.stages if isinstance(stage, Pass))

    @property
    def commits(self) -> Mapping[str, Commit]:
        return {stage.sink: stage for stage in self.stages if isinstance(stage, Commit)}

    @property
    def spools(self) -> Mapping[str, Spool]:
        return {stage.source: stage for stage in self.stages if isinstance(stage, Spool)}

    @property
    def keeps(self) -> frozenset[str]:
        return frozenset(stage.node for stage in self.stages if isinstance(stage, Keep))
