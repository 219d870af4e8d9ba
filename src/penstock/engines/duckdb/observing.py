"""What rules about all rows measure: a statement hands the columns that they need to a query of their own, beside it.

A function in the statement takes them, a vector at a time, and lets every row pass; the query reads them as an Arrow
stream and aggregates as it goes. So rows are gone through once, and none is kept. The query has a database of its own, on
one thread: in the session's it would wait for rows on one of the threads that are to bring them.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.engines.duckdb.binder import empty_relation
from penstock.engines.duckdb.errors import translated
from penstock.errors import InternalError, Problem
from penstock.graph.select import counted_columns, judged, measured_columns
from penstock.structs import Frozen, field, replace
from penstock.trees import relation
from penstock.types import Schema
from penstock.types.duckdb import to_duckdb_text
from penstock.types.logical import BOOLEAN, Struct, StructField

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

    from penstock.connectors.api import Json
    from penstock.engines.duckdb.session import Session
    from penstock.graph.nodes import Check, TableRule

_WAITING: Final = 64  # vectors of 2,048 rows
_AT_ONCE: Final = 16  # of them, that the query is woken for
_HIDDEN: Final = "it speaks of labelled columns, and is not shown"


class Findings(Frozen):
    """What the rules of a check measured, what is to be said of those that the rows violate, and some rows that violate one
    (``engines.api.NodeCounts``).
    """

    measured: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    samples: Mapping[str, Sequence[Mapping[str, Json]]] = field(default_factory=dict)


class Observer:
    """Takes the rows of one check from the moment it is made; once: ``findings`` when the statement has ended, or ``stop``,
    then ``close``.
    """

    def __init__(
        self,
        session: Session,
        node: Check,
        function: str,
        others: Mapping[str, exp.Query],
        labelled: Collection[str] = (),
    ) -> None:
        from duckdb.func import ARROW, SPECIAL

        if node.schema is None:
            raise InternalError("INT-900", f"the check {node.id} has no schema")
        self._session, self._node, self._function = session, node, function
        self._labelled = frozenset(labelled)
        self._columns = _taken(node, node.schema)
        self._changed = threading.Condition()
        self._batches: deque[pa.RecordBatch] = deque()
        self._at_hand: deque[pa.RecordBatch] = deque()  # the query's own
        self._ended = self._stopped = False
        self._row: tuple[dict[str, Any], ...] | None = None
        self._error: BaseException | None = None
        self._reading = session.workspace().connect(1, optimizes=True)
        self._others = {name: self._beside(name, query) for name, query in others.items()}
        session.connection.create_function(
            function,
            lambda rows: self._take(rows),  # noqa: PLW0108 -- DuckDB evaluates the annotations of what it gets
            [_struct_of(self._columns)],
            "BOOLEAN",
            type=ARROW,
            null_handling=SPECIAL,
            side_effects=True,
        )
        session.on_interrupt(self.stop)
        self._thread = threading.Thread(target=self._measure, name=f"measure {node.id}", daemon=True)
        self._thread.start()

    def _beside(self, name: str, query: exp.Query) -> exp.Query:
        """The row of a node beside the check, in the query's database."""
        table = f"{self._function}_beside_{name}"
        self._reading.register(table, self._session.connection.sql(query.sql(dialect="duckdb")).to_arrow_table())
        return exp.select("*").from_(relation(table))

    def findings(self) -> Findings:
        """Of all rows that were taken. Waits for the query's end. Raises as the engine does (engines/duckdb/errors.py)."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        with translated(f'measuring the rows of "{self._node.id}"'):
            self._session.do(self._thread.join)
            if self._error is not None:
                raise self._error
        if self._row is None:
            raise InternalError("INT-900", f'nothing was measured of "{self._node.id}"')
        found = dict(zip((rule.code for rule in self._node.table_rules), self._row, strict=True))
        return Findings(
            {code: {name: _number(value) for name, value in one["measures"].items()} for code, one in found.items()},
            {
                rule.code: self._told(rule, found[rule.code]["message"])
                for rule in self._node.table_rules
                if found[rule.code]["violated"]
            },
        )

    def stop(self) -> None:
        """Nothing more is taken or measured. From any thread; idempotent; does not wait."""
        with self._changed:
            self._stopped = True
            self._batches.clear()
            self._changed.notify_all()
        self._reading.interrupt()

    def close(self) -> None:
        """Idempotent."""
        self.stop()
        self._session.forget(self.stop)
        self._thread.join()
        self._reading.close()
        self._session.connection.remove_function(self._function)

    # ------------------------------------------------------------ the statement's threads

    def _take(self, rows: pa.ChunkedArray) -> pa.Array:
        import pyarrow as pa

        with self._changed:
            self._changed.wait_for(lambda: len(self._batches) < _WAITING or self._stopped)
            if not self._stopped:
                self._batches.extend(pa.RecordBatch.from_struct_array(chunk) for chunk in rows.chunks)
                if len(self._batches) >= _AT_ONCE:
                    self._changed.notify_all()
        return pa.repeat(pa.scalar(value=True), len(rows))

    # ------------------------------------------------------------ the query's thread

    def _measure(self) -> None:
        try:
            self._row = self._queried()
        except BaseException as error:  # noqa: BLE001 -- raised where the findings are asked for
            self._error = error
            with self._changed:  # the statement goes on to its end
                self._stopped = True
                self._batches.clear()
                self._changed.notify_all()

    def _queried(self) -> tuple[dict[str, Any], ...] | None:
        import pyarrow as pa

        first = self._next()
        rows: exp.Query = empty_relation(self._columns)
        if first is not None:
            name = f"{self._function}_taken"
            self._reading.register(name, pa.RecordBatchReader.from_batches(first.schema, self._from(first)))
            rows = exp.select("*").from_(relation(name))
        text = judged(self._node, rows, self._others).sql(dialect="duckdb")
        return self._reading.execute(text).fetchone()

    def _from(self, first: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        yield first
        while (batch := self._next()) is not None:
            yield batch

    def _next(self) -> pa.RecordBatch | None:
        if not self._at_hand:
            with self._changed:
                self._changed.wait_for(lambda: len(self._batches) >= _AT_ONCE or self._ended or self._stopped)
                self._at_hand, self._batches = self._batches, self._at_hand
                self._changed.notify_all()
        return self._at_hand.popleft() if self._at_hand and not self._stopped else None

    # ------------------------------------------------------------ what is told

    def _told(self, rule: TableRule, message: str) -> str:
        """Without values of columns that have labels, of this node and of the one beside it."""
        schema = self._node.schema or Schema(())
        own = any(schema[name].labels for name in rule.columns if name in schema)
        return _HIDDEN if own or rule.beside in self._labelled else message


def failing(node: Check, broken: Mapping[str, str]) -> Iterator[Problem]:
    """What fails a run."""
    for rule in node.table_rules:
        if rule.on_fail == "fail" and rule.code in broken:
            yield Problem(
                "ENG-315",
                f'the rows of "{node.id}" together violate the rule "{rule.code}"',
                at=rule.at or node.at,
                detail=f"{broken[rule.code]}.",
            )


def _taken(node: Check, schema: Schema) -> Schema:
    """The columns as the statement hands them over: of one that is counted no more than that there is a value."""
    counted = counted_columns(node)
    taken = schema.select(measured_columns(node))
    return Schema(tuple(replace(item, type=BOOLEAN) if item.name in counted else item for item in taken))


def _struct_of(columns: Schema) -> str:
    """The type of what the function takes: the columns by their names; without one, a constant."""
    fields = tuple(StructField(item.name, item.type) for item in columns) or (StructField("row", BOOLEAN),)
    return to_duckdb_text(Struct(fields))


def _number(value: float | None) -> float | None:
    """None too for what is no number that can be told: NaN and infinities have no place in JSON."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value
