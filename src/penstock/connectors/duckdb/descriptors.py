"""What there is to know of DuckDB files before one is used; the modules that do the work are imported when one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.api import WriteMode
from penstock.connectors.duckdb.params import DuckdbSinkParams, DuckdbSourceParams
from penstock.registry import Capability, Descriptor

if TYPE_CHECKING:
    from penstock.connectors.api import Context
    from penstock.connectors.duckdb.sink import DuckdbSink
    from penstock.connectors.duckdb.source import DuckdbSource

_ALONE: Final = (
    "DuckDB gives a file to one process that writes, or to several that only read: one that is held is waited for, and the"
    " error names who holds it. It is held while it is looked at and at the commit, not all through a run."
)


def _make_source(params: DuckdbSourceParams, context: Context) -> DuckdbSource:
    from penstock.connectors.duckdb.source import DuckdbSource

    return DuckdbSource(params, context)


def _make_sink(params: DuckdbSinkParams, context: Context) -> DuckdbSink:
    from penstock.connectors.duckdb.sink import DuckdbSink

    return DuckdbSink(params, context)


SOURCE: Final = Descriptor(
    name="duckdb",
    group="sources",
    summary="A table or a view of a DuckDB file.",
    params=DuckdbSourceParams,
    make=_make_source,
    example="type: duckdb\npath: data/warehouse.duckdb\ntable: orders\n",
    capabilities=frozenset({Capability.PROJECTION, Capability.FILTER, Capability.LOCAL, Capability.SNAPSHOT}),
    notes=(
        _ALONE,
        "Opened to read only, and closed to other files: a view that reads some is refused.",
        (
            "HUGEINT is decimal(38,0), ENUM and BIT string, fixed-size arrays lists; TIMESTAMP_NS is rounded to"
            " microseconds. UNION has no type here."
        ),
        "A live table cannot be read again as it was, so that it is copied where an epoch must be repeatable.",
    ),
)


SINK: Final = Descriptor(
    name="duckdb",
    group="sinks",
    summary="A table of a DuckDB file.",
    params=DuckdbSinkParams,
    make=_make_sink,
    example="type: duckdb\nfrom: prices\npath: out/warehouse.duckdb\ntable: prices\nmode: merge\nkeys: [symbol, day]\n",
    capabilities=frozenset({Capability.PARALLEL, Capability.LOCAL, Capability.ATOMIC_COMMIT, Capability.READ_BACK}),
    modes=(
        WriteMode.APPEND.value,
        WriteMode.OVERWRITE.value,
        WriteMode.OVERWRITE_PARTITIONS.value,
        WriteMode.MERGE.value,
    ),
    notes=(
        _ALONE,
        (
            "Rows and marker are one transaction, and a process that is killed loses none. After a power cut a file whose"
            " write-ahead log is cut off cannot always be opened again: keep what it was made from."
        ),
        (
            "Every type is held as it is. A column that an index names cannot be widened; a full refresh with other columns"
            " keeps views and the indexes whose columns stay, and drops the table's constraints."
        ),
        "overwrite_partitions replaces the rows that agree in the columns of partition_by with a row that comes.",
        "The tables _penstock_commits, _penstock_runners and _penstock_tables are the sink's memory of commits.",
    ),
)
