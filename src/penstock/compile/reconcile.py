"""A sink's table beside the rows that it should hold: which columns are compared, as what, and by what sum.

Each row is brought down to its keys and one number, the fingerprint of all columns that are compared. A column is compared
in the type that holds the values of both sides, where the table has another one than the rows had: a uuid that Delta keeps
as text is compared as text, a uint8 that it keeps as int16 as int16.

DuckDB's ``hash`` of several values is a linear mix, of which sums and exclusive ors over rows cancel where two rows have
swapped a value; so the mix is hashed once more. Nested values go in as text: their hashes do not tell null from empty, nor
``[[1], [2]]`` from ``[[1, 2]]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.compile.expressions import missing_column
from penstock.compile.incremental import needing_all
from penstock.compile.json_form import json_form
from penstock.compile.reads import only
from penstock.compile.scope import unknown_node
from penstock.errors import ConfigError, Problem
from penstock.fields import Located
from penstock.graph.nodes import Column, Project
from penstock.registry import Capability
from penstock.structs import Frozen, replace
from penstock.trees import call, column, text_of
from penstock.types import INTERVAL, JSON, STRING, UINT64, Field, Schema
from penstock.types.compatibility import widen
from penstock.types.duckdb import to_duckdb
from penstock.types.logical import Decimal, LogicalType, Primitive, relaxed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.connectors.reconcile import Reconcile
    from penstock.document.models import Pipeline, SinkUse
    from penstock.errors import Location
    from penstock.graph import Graph

FINGERPRINT: Final = "fingerprint"


# ---------------------------------------------------------------- what the document may ask for


def unfit_to_reconcile(graph: Graph, pipeline: Pipeline, reduced: frozenset[str]) -> Iterator[Problem]:
    """CMP-420 where a sink cannot be read back, CMP-201, CMP-203 and CMP-422 for what is compared, CMP-421 where the table
    holds what only the rows of one epoch could give. ``reduced`` are the nodes that give a merge one row per key.
    """
    for write in graph.writes:
        use = pipeline.sinks[write.sink]
        if use.params.reconcile is None:
            continue
        try:
            check_reconcilable(graph, pipeline, reduced, sink=write.sink, asked=use.params.reconcile)
        except ConfigError as error:
            yield from error.problems


def check_reconcilable(
    graph: Graph, pipeline: Pipeline, reduced: frozenset[str], *, sink: str, asked: Reconcile
) -> None:
    """Raises ConfigError as ``unfit_to_reconcile`` tells."""
    use = pipeline.sinks[sink]
    at = use.places.get("reconcile", use.at)
    if Capability.READ_BACK not in use.descriptor.capabilities:
        raise ConfigError(
            "CMP-420",
            f'the sink "{sink}" cannot be reconciled: {use.descriptor.name} is write-only',
            at=at,
            hint="leave out `reconcile`, or write to a table that can be read back",
        )
    node = _compared_node(graph, pipeline, use, asked, at)
    schema = graph[node].schema or Schema(())
    for name in (*asked.keys, *asked.columns):
        if name not in schema:
            place = name.at if isinstance(name, Located) else at
            raise missing_column(name, list(schema.names), owner=asked.against or sink, at=place)
    for name in keys_of(use, asked):
        if name in schema and not _is_plain(schema[name].type):
            raise ConfigError(
                "CMP-422",
                f'"{name}" of "{sink}" is {schema[name].type}, by which rows are not told apart',
                at=at,
                hint="name keys that are plain values: numbers, texts, days, moments, uuids",
            )
    of_epoch = next(needing_all(graph.only(graph.upstream(node)), reduced), None)
    if of_epoch is not None:
        raise ConfigError(
            "CMP-421",
            f'the sink "{sink}" cannot be reconciled: "{of_epoch[0].id}" {of_epoch[1]} of one epoch at a time',
            at=at,
            detail="Over all rows together it gives others.",
            hint="leave out `reconcile`, or name the node before it: `reconcile: {against: …}`",
        )


def _compared_node(graph: Graph, pipeline: Pipeline, use: SinkUse, asked: Reconcile, at: Location | None) -> str:
    if asked.against is None:
        (write,) = (write for write in graph.writes if write.sink == use.name)
        return write.input
    known = [name for name in pipeline.names if name != use.name]
    if asked.against not in known:
        raise unknown_node(asked.against, known, at=asked.against.at if isinstance(asked.against, Located) else at)
    node = graph.outputs.get(asked.against)
    if node is None:
        (node,) = (write.input for write in graph.writes if write.sink == asked.against)
    return node


def _is_plain(kind: LogicalType) -> bool:
    return isinstance(kind, Decimal) or (isinstance(kind, Primitive) and kind not in (JSON, INTERVAL))


def keys_of(use: SinkUse, asked: Reconcile) -> tuple[str, ...]:
    """Those that are named, else the sink's own; none: rows are compared as wholes."""
    return tuple(asked.keys or use.params.keys)


def reconciled_pipeline(pipeline: Pipeline, sink: str, asked: Reconcile) -> Pipeline:
    """What has to be compiled to know the rows that the sink should hold: of the node it is compared ``against``, one row
    per key where the sink merges.
    """
    use = pipeline.sinks[sink]
    if asked.against is not None:
        use = replace(use, inputs=(_located(asked.against, use.at),), contract=None, columns={}, rules=())
    return replace(only(replace(pipeline, sinks={**pipeline.sinks, sink: use}), (sink,)), rejects=None)


def _located(name: str, at: Location) -> Located:
    return name if isinstance(name, Located) else Located.of(name, at, lambda _offset, _length: at)


# ---------------------------------------------------------------- what is compared


class Compared(Frozen):
    """A column of both sides, and the type in which it is compared."""

    name: str
    kind: LogicalType
    labels: frozenset[str] = frozenset()


class Comparison(Frozen):
    """``keys`` tell rows apart, and are among ``columns``; without any the fingerprint does. ``left_out`` are columns of one
    side or of a type that is not compared unless it is asked for, and why.
    """

    keys: tuple[Compared, ...]
    columns: tuple[Compared, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def places(self) -> tuple[Field, ...]:
        """The columns in which the keys of rows are kept."""
        if not self.keys:
            return (Field("key0", UINT64),)
        return tuple(Field(f"key{place}", item.kind) for place, item in enumerate(self.keys))

    @property
    def schema(self) -> Schema:
        """Of what is kept of each row."""
        return Schema((*self.places, Field(FINGERPRINT, UINT64)))

    @property
    def row_schema(self) -> Schema:
        """Of that and the values that were compared, under ``value0`` and so on."""
        return Schema((*self.schema, *(Field(f"value{place}", item.kind) for place, item in enumerate(self.columns))))

    def fingerprints(self, node: str, given: Schema) -> Project:
        """The keys and the fingerprint of each row of a node that has these columns."""
        return Project(f"{node}:{FINGERPRINT}", input=node, columns=self._kept(given), schema=self.schema)

    def rows(self, node: str, given: Schema) -> Project:
        """The same with the values that were compared."""
        values = tuple(
            Column(f"value{place}", _as(item, given[item.name].type)) for place, item in enumerate(self.columns)
        )
        return Project(f"{node}:rows", input=node, columns=(*self._kept(given), *values), schema=self.row_schema)

    def _kept(self, given: Schema) -> tuple[Column, ...]:
        sums = [digest(_as(item, given[item.name].type), item.kind) for item in self.columns]
        whole = call("hash", call("hash", *sums))
        keys = [_as(item, given[item.name].type) for item in self.keys] or [whole]
        named = zip(self.places, keys, strict=True)
        return (*(Column(place.name, key) for place, key in named), Column(FINGERPRINT, whole))


def comparison(use: SinkUse, asked: Reconcile, sent: Schema, held: Schema) -> Comparison:
    """Of the rows that the sink takes, and its table. Raises ConfigError CMP-423 where a key is not in both, or a column that
    is to be compared is not, or has types in which its values cannot be compared.
    """
    wanted = keys_of(use, asked)
    names = tuple(dict.fromkeys((*wanted, *asked.columns))) if asked.columns else None
    columns: list[Compared] = []
    left_out: list[tuple[str, str]] = []
    for name in names or (*sent.names, *(name for name in held.names if name not in sent)):
        why, kind = _comparable(sent.get(name), held.get(name))
        if kind == JSON and names is None and name not in wanted:
            why, kind = "json, which some systems spell anew; name it under `columns` to compare it", None
        if kind is not None:
            columns.append(Compared(name, kind, _labels(sent.get(name), held.get(name))))
        elif names is None and name not in wanted:
            left_out.append((name, why))
        else:
            at = use.places.get("reconcile", use.at)
            raise ConfigError("CMP-423", f'"{name}" of "{use.name}" cannot be compared', at=at, detail=f"It is {why}.")
    by_name = {item.name: item for item in columns}
    return Comparison(tuple(by_name[name] for name in wanted), tuple(columns), tuple(left_out))


def _comparable(sent: Field | None, held: Field | None) -> tuple[str, LogicalType | None]:
    if sent is None:
        return "in the table alone", None
    if held is None:
        return "not in the table", None
    one, other = relaxed(sent.type), relaxed(held.type)
    kind = one if one == other else STRING if other == STRING else widen(one, other)
    return f"{sent.type} in the rows and {held.type} in the table", kind


def _labels(sent: Field | None, held: Field | None) -> frozenset[str]:
    return frozenset().union(*(item.labels for item in (sent, held) if item is not None))


def _as(item: Compared, given: LogicalType) -> exp.Expr:
    value = column(item.name)
    return value if relaxed(given) == item.kind else exp.Cast(this=value, to=to_duckdb(item.kind))


def digest(value: exp.Expr, kind: LogicalType) -> exp.Expr:
    """What is hashed of a value: equal where values are."""
    if kind == JSON:
        return json_form(value)
    if kind == INTERVAL or not isinstance(kind, Primitive | Decimal):
        return text_of(value)
    return value


def names_of(columns: Sequence[Compared]) -> tuple[str, ...]:
    return tuple(item.name for item in columns)


__all__ = [
    "FINGERPRINT",
    "Compared",
    "Comparison",
    "check_reconcilable",
    "comparison",
    "digest",
    "keys_of",
    "names_of",
    "reconciled_pipeline",
    "unfit_to_reconcile",
]
