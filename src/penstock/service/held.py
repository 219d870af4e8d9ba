"""What a sink's table holds now, as a profile: read once, without writing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.compile.reads import only
from penstock.errors import PenstockError
from penstock.graph import Graph
from penstock.graph.nodes import Table
from penstock.registry import Capability
from penstock.service.copied import Copied
from penstock.service.masking import hidden_columns
from penstock.service.opening import opened
from penstock.service.profiling import profiled
from penstock.structs import Frozen, replace
from penstock.types import Field, Schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.document.assembly import Loaded
    from penstock.service.opening import Opened
    from penstock.service.profiling import ColumnProfile
    from penstock.service.request import Request

_ROWS: Final = "held"


class Held(Frozen):
    """``columns`` are those that a run would write now and that the table has; labelled ones show no value. ``is_part``: an
    epoch has new rows alone.
    """

    rows: int
    columns: tuple[tuple[ColumnProfile, Field], ...]
    is_part: bool


def held(request: Request, loaded: Loaded, sink: str, told: Callable[[str], None]) -> Held | str:
    """In words why not, where the table cannot be read, or what its columns' labels are is not to be found out."""
    use = loaded.pipeline.sinks[sink]
    if Capability.READ_BACK not in use.descriptor.capabilities:
        return f"its rows cannot be read back ({use.descriptor.name})"
    needed = replace(only(loaded.pipeline, (sink,)), rejects=None)
    try:
        with opened(request, replace(loaded, pipeline=needed)) as found:
            return _read(found, sink, told)
    except PenstockError as error:
        first = error.problems[0]
        return f"{first.code}, {first.message}"


def _read(found: Opened, sink: str, told: Callable[[str], None]) -> Held | str:
    found.connect()
    graph = found.compile().written
    write = next(write for write in graph.writes if write.sink == sink)
    there = found.sinks[sink].describe()
    if there is None or write.schema is None:
        return "it has no table"
    written = {item.name: item for item in write.schema}
    schema = Schema(tuple(replace(item, labels=written[item.name].labels) for item in there if item.name in written))
    told(f"reading {sink}")
    table = Table(sink, sink=sink, columns=schema.names, schema=schema)
    alone = Graph((table,))
    copied = Copied.of(
        found.engine, alone, table.id, found.inputs(alone), schema=schema, into=found.scratch / f"{_ROWS}.arrow"
    )
    hidden = hidden_columns({item.name: item.labels for item in schema}, ())
    columns = profiled(copied, schema, hidden, told)
    above = graph.only(graph.upstream(write.id))
    return Held(copied.rows, tuple(zip(columns, schema, strict=True)), any(read.incremental for read in above.reads))


__all__ = ["Held", "held"]
