"""What there is to know of SQLite before it is used; the modules that do the work are imported when one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.api import WriteMode
from penstock.connectors.sqlite.params import SqliteSinkParams, SqliteSourceParams
from penstock.registry import Capability, Descriptor

if TYPE_CHECKING:
    from penstock.connectors.api import Context
    from penstock.connectors.sqlite.sink import SqliteSink
    from penstock.connectors.sqlite.source import SqliteSource


def _make_source(params: SqliteSourceParams, context: Context) -> SqliteSource:
    from penstock.connectors.sqlite.source import SqliteSource

    return SqliteSource(params, context)


def _make_sink(params: SqliteSinkParams, context: Context) -> SqliteSink:
    from penstock.connectors.sqlite.sink import SqliteSink

    return SqliteSink(params, context)


SOURCE: Final = Descriptor(
    name="sqlite",
    group="sources",
    summary="A table, a view or a query of a SQLite file.",
    params=SqliteSourceParams,
    make=_make_source,
    example="type: sqlite\npath: data/shop.db\ntable: orders\n",
    capabilities=frozenset({Capability.PROJECTION, Capability.LOCAL, Capability.SNAPSHOT}),
    notes=(
        "Columns have their declared types as the sqlite sink writes them, else by SQLite's affinity: INT as int64.",
        "By affinity REAL and other numbers are float64, TEXT, dates and times string, BLOB binary; none: by a sample.",
        "A value that its column's type cannot take is a bad value: SQLite lets any value stand anywhere.",
        "A live table cannot be read again as it was, so that it is spooled where an epoch must be repeatable.",
        "Opened to read only; a query is one SELECT.",
    ),
)


SINK: Final = Descriptor(
    name="sqlite",
    group="sinks",
    summary="A table of a SQLite file, for serving results to applications.",
    params=SqliteSinkParams,
    make=_make_sink,
    example="type: sqlite\nfrom: prices\npath: out/serving.db\ntable: prices\nmode: merge\nkeys: [symbol, day]\n",
    capabilities=frozenset({Capability.PARALLEL, Capability.LOCAL, Capability.ATOMIC_COMMIT, Capability.READ_BACK}),
    modes=(WriteMode.APPEND.value, WriteMode.OVERWRITE.value, WriteMode.MERGE.value),
    notes=(
        (
            "Decimals and uint64 are kept as text, exactly. SQLite compares and orders them as text, so that '10.0' comes "
            "before '9.5': a query there casts them, as in ORDER BY CAST(price AS REAL)."
        ),
        "Dates and times are ISO 8601 text, timestamps with six digits after the second, timestamptz in UTC with +00:00.",
        "NaN is kept as the text NaN, since SQLite would make it null; -0.0 becomes 0.0.",
        "The declared type of a column says what its values are, so that reading the table back gives the same types.",
        "A column's type cannot be widened; intervals and nested values are refused: cast them to json or string.",
        "Merge makes a unique index on the keys.",
        "The journal mode is left as it is: in WAL mode (PRAGMA journal_mode = WAL) applications read during a commit.",
        "The tables _penstock_commits, _penstock_runners and _penstock_tables are the sink's memory of commits.",
    ),
)
