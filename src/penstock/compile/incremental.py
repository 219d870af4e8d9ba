"""Sources that are read from their last sealed position on: what their cursor may be, and what may not be made of a part.

An epoch of such a source holds new rows only. A step that needs more than its own row, and a sink that replaces its table,
would take them for all there are: refused, unless the document says that it means the epoch (``scope: epoch``).
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as Number
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.errors import ConfigError, Problem, nearest
from penstock.graph.nodes import (
    Aggregate,
    Cause,
    Check,
    Cursor,
    Filter,
    Join,
    Limit,
    Project,
    Query,
    Read,
    Sample,
    Sort,
    Write,
)
from penstock.registry import Capability
from penstock.steps.literals import literal_of
from penstock.structs import replace
from penstock.trees import column, is_null
from penstock.types.logical import DATE, STRING, TIMESTAMP, TIMESTAMPTZ, UUID, Decimal, Kind, Primitive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.compile.scope import Builder
    from penstock.connectors.incremental import Incremental
    from penstock.document.models import Pipeline, SinkUse, SourceUse
    from penstock.errors import Location
    from penstock.graph import Graph, Node
    from penstock.types import Field, LogicalType, Schema

_TIMES: Final = (DATE, TIMESTAMP, TIMESTAMPTZ)
_WHOLE: Final = frozenset(
    {Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64}
)
_REPEATING: Final = frozenset(
    {"merge", "overwrite", "overwrite_partitions"}
)  # modes that take a row twice and have it once


# ---------------------------------------------------------------- sources


def begin(builder: Builder, use: SourceUse, read: Read, contract: Schema | None) -> str:
    """The read of a source, with what stands between its rows and all that follows: the range of an epoch, and the check
    that each row has a place in the cursor's order. The id of the last node. Where the document names no columns that tell
    rows apart those of the ``contract`` do: a column that comes later makes no other row of one that was read.

    Raises ConfigError CMP-350 to CMP-353, CMP-358.
    """
    wanted = use.params.incremental
    if wanted is None:
        return builder.add(read)
    if wanted.version:
        if Capability.VERSIONS not in use.descriptor.capabilities:
            raise ConfigError(
                "CMP-358",
                f'"{use.name}" is no table that has versions',
                at=use.places.get("incremental", use.at),
                hint="name a column that grows: `incremental: {cursor: updated_at}`",
            )
        return builder.add(replace(read, incremental=True))
    if not wanted.cursor:
        if Capability.NEW_FILES not in use.descriptor.capabilities:
            raise ConfigError(
                "CMP-350",
                f'"{use.name}" is no source of files',
                at=use.places.get("incremental", use.at),
                hint="name a column that grows: `incremental: {cursor: updated_at}`",
            )
        return builder.add(replace(read, incremental=True))
    cursor = _cursor(use, wanted, read, contract)
    _check_sending(use, wanted, read)
    read = replace(read, incremental=True, cursor=cursor)
    current = builder.add(read)
    current = builder.add(Filter(read.range, input=current, condition=exp.true(), at=read.at))
    without = (
        Cause(
            "null_cursor",
            is_null(column(cursor.by)),
            exp.Literal.string(f"the cursor {cursor.by} is null, so that nothing says in which epoch the row belongs"),
            cursor.by,
        ),
        *(_untold(cursor, name) for name in cursor.named[1:]),
    )
    return builder.add(Check(f"{use.name}.cursor.check", input=current, causes=without, at=read.at))


def _untold(cursor: Cursor, name: str) -> Cause:
    told = f"the column {name} of the cursor is null, so that nothing tells the row from others of its {cursor.by}"
    return Cause("null_cursor", is_null(column(name)), exp.Literal.string(told), name)


def _cursor(use: SourceUse, wanted: Incremental, read: Read, contract: Schema | None) -> Cursor:
    at = use.places.get("incremental", use.at)
    fields = [_field(use, read, name, at) for name in wanted.cursor]
    by, identity = fields[0], fields[1:]
    if not _has_order(by.type):
        raise ConfigError(
            "CMP-352",
            f'the cursor "{by.name}" of "{use.name}" is {by.type}, which does not grow step by step',
            at=at,
            hint="a cursor is a date, a timestamp, a whole number, a decimal, a text or a uuid",
        )
    names = read.schema.names if read.schema is not None else ()
    known = tuple(name for name in names if contract is None or name in contract)
    return Cursor(
        by.name,
        tuple(item.name for item in identity) or known,
        _lag(wanted.lag, by, at),
        _initial(wanted.initial, by, at),
        known if identity else (),
    )


def _check_sending(use: SourceUse, wanted: Incremental, read: Read) -> None:
    """Raises ConfigError DOC-440, DOC-441."""
    if wanted.send is None:
        return
    at = use.places.get("incremental", use.at)
    if Capability.ASKED_FROM not in use.descriptor.capabilities:
        raise ConfigError(
            "DOC-440",
            f'"{use.name}" ({use.descriptor.name}) asks no service, so that nothing can be sent to it',
            at=at,
            hint="leave out `send`",
        )
    by = read.schema[wanted.cursor[0]] if read.schema is not None else None
    if by is not None and wanted.send.format is not None and by.type not in _TIMES:
        raise ConfigError(
            "DOC-441",
            f'the cursor "{by.name}" of "{use.name}" is {by.type}, which is sent as it is, in no format',
            at=at,
            hint="leave out `format`, or state the column's type (date, timestamp, timestamptz) in `schema`",
        )


def _field(use: SourceUse, read: Read, name: str, at: Location) -> Field:
    found = read.schema.get(name) if read.schema is not None else None
    if found is not None:
        return found
    names = read.schema.names if read.schema is not None else ()
    near = nearest(name, names)
    raise ConfigError(
        "CMP-351",
        f'"{use.name}" has no column "{name}" for its cursor',
        at=at,
        hint=f'did you mean "{near}"?' if near else f"it has {', '.join(names)}",
    )


def _has_order(kind: LogicalType) -> bool:
    return _is_number(kind) or kind in (*_TIMES, STRING, UUID)


def _is_number(kind: LogicalType) -> bool:
    return isinstance(kind, Decimal) or (isinstance(kind, Primitive) and kind.kind in _WHOLE)


def _lag(lag: timedelta | float | None, by: Field, at: Location) -> timedelta | Number | None:
    match lag:
        case None:
            return None
        case timedelta() if by.type in _TIMES:
            return lag
        case int() | float() if _is_number(by.type):
            return Number(str(lag))
        case _:
            takes = "a duration" if by.type in _TIMES else "a number" if by.type not in (STRING, UUID) else "none"
            raise ConfigError("CMP-353", f"the lag of a cursor that is {by.type} is {takes}", at=at)


def _initial(value: str | float | None, by: Field, at: Location) -> exp.Expr | None:
    if value is None:
        return None
    tree = literal_of(value, by.type)
    if tree is None:
        raise ConfigError("CMP-353", f'"{value}" is no value of the cursor "{by.name}", which is {by.type}', at=at)
    return tree


# ---------------------------------------------------------------- what may be made of it


def partial(graph: Graph, pipeline: Pipeline, scoped: frozenset[str]) -> Iterator[Problem]:
    """CMP-354 for nodes that need more than their own row of an input that is new rows only; CMP-355 for sinks that would
    replace their table by them, or partitions of it, CMP-356 for those that would have rows twice that are read again. ``scoped`` are the nodes
    of which the document says that the epoch is meant.
    """
    if not any(read.incremental for read in graph.reads):
        return
    for node, what, sources in needing_all(graph, scoped):
        yield _needs_all(node, what, sorted(sources))
    parts = _new_rows(graph)
    for write in graph.writes:
        yield from _sink(write, parts[write.id], pipeline, graph)


def needing_all(graph: Graph, scoped: frozenset[str]) -> Iterator[tuple[Node, str, frozenset[str]]]:
    """The nodes, but for those that are ``scoped``, that need more than their own row of an input with new rows only: what
    they do, and the sources of these.
    """
    parts = _new_rows(graph)
    for node in graph.nodes:
        if parts[node.id] and node.id not in scoped and not isinstance(node, Write):
            what = whole(node, parts)
            if what is not None:
                yield node, what, parts[node.id]


def _new_rows(graph: Graph) -> Mapping[str, frozenset[str]]:
    """By node, the sources of which it gets new rows only."""
    return parts_of(graph, {read.id: read.source for read in graph.reads if read.incremental})


def parts_of(graph: Graph, new: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    """By node, of which of ``new`` (a name by the node that it stands for) it has rows."""
    parts: dict[str, frozenset[str]] = {}
    for node in graph.nodes:
        own = frozenset({new[node.id]}) if node.id in new else frozenset()
        # What a check compares with gives it no rows.
        sources = (node.input,) if isinstance(node, Check) else node.inputs
        parts[node.id] = own.union(*(parts[name] for name in sources))
    return parts


def whole(node: Node, parts: Mapping[str, frozenset[str]]) -> str | None:
    """What the node does that needs all rows of sources of which an epoch has a part (``parts_of``); None where it needs
    each row by itself.
    """
    match node:
        case Aggregate():
            return "groups rows"
        case Sort():
            return "sorts rows"
        case Limit() | Sample():
            return "takes some of the rows"
        case Filter(why="deduplicate"):
            return "keeps one row of several"
        case Project(columns=columns) if any(item.value.find(exp.Window) is not None for item in columns):
            return "looks at other rows"
        case Join(left=left, right=right, how=kind):
            return _joined(kind, parts[left], parts[right])
        case Query(query=query, tables=tables):
            return _queried(query, [parts[name] for name in tables.values()])
        case _:
            return None


def _joined(kind: str, left: frozenset[str], right: frozenset[str]) -> str | None:
    if left and right:
        return "joins new rows with new rows"
    if (left and kind in {"right", "full"}) or (
        right and kind in {"left", "full", "semi", "anti", "asof", "asof_left"}
    ):
        return "asks which rows have no new row"
    return None


def _queried(query: exp.Query, inputs: list[frozenset[str]]) -> str | None:
    """Of a query in SQL: anything but a plain SELECT over one table with new rows."""
    if sum(1 for found in inputs if found) > 1:
        return "joins new rows with new rows"
    parts = (exp.AggFunc, exp.Window, exp.Distinct, exp.Group, exp.Order, exp.Limit, exp.SetOperation, exp.Subquery)
    if any(query.find(part) is not None for part in parts):
        return "looks at more than one row"
    outer = any(
        join.side in {"LEFT", "RIGHT", "FULL"} or join.kind in {"SEMI", "ANTI"} for join in query.find_all(exp.Join)
    )
    return "joins new rows otherwise than by an inner join" if outer else None


def _needs_all(node: Node, what: str, sources: list[str]) -> Problem:
    return Problem(
        "CMP-354",
        f'"{node.id}" {what}, and gets the new rows of {_listed(sources)} alone',
        at=node.at,
        detail="An epoch of an incremental source holds what came since the last one.",
        hint="read the accumulated table (`from:` the name of a sink), or say `scope: epoch` where the new rows are meant",
    )


def _sink(write: Write, new: frozenset[str], pipeline: Pipeline, graph: Graph) -> Iterator[Problem]:
    use = pipeline.sinks[write.sink]
    mode = str(use.params.mode)
    if new:
        yield from _replaced(use, sorted(new))
    again = {read.source for read in graph.reads if read.cursor is not None and read.cursor.lag is not None} & new
    if again and mode not in _REPEATING:
        yield Problem(
            "CMP-356",
            f'"{write.sink}" would have rows of {_listed(sorted(again))} twice: a lag reads them again',
            at=use.places.get("mode", use.at),
            hint="merge them by their keys (`mode: merge`), or leave out `lag`",
        )


def _replaced(use: SinkUse, sources: list[str]) -> Iterator[Problem]:
    """Where each epoch replaces what it does not bring whole."""
    rows = f"the new rows of {_listed(sources)} alone"
    at = use.places.get("mode", use.at)
    match str(use.params.mode):
        case "overwrite":
            yield Problem(
                "CMP-355",
                f'"{use.name}" would hold {rows}: it is replaced by each epoch',
                at=at,
                hint="append or merge them, or replace it by what is read from an accumulated table",
            )
        case "overwrite_partitions" if use.params.scope != "epoch":
            yield Problem(
                "CMP-355",
                f'partitions of "{use.name}" would hold {rows}: each epoch replaces those that it has rows of',
                at=at,
                detail="What earlier epochs wrote to these partitions would be gone.",
                hint="append or merge them, or read the source in full; where an epoch brings whole partitions, say "
                "`scope: epoch` on the sink",
            )


def appending(graph: Graph, pipeline: Pipeline, source: str) -> Iterator[str]:
    """The sinks that have a row of the source's new ones twice which is read twice."""
    parts = _new_rows(graph)
    for write in graph.writes:
        if source in parts[write.id] and str(pipeline.sinks[write.sink].params.mode) not in _REPEATING:
            yield write.sink


def _listed(names: list[str]) -> str:
    return " and ".join(f'"{name}"' for name in names)


__all__ = ["appending", "begin", "needing_all", "partial", "parts_of", "whole"]
