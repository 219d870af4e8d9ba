"""Many tables in one source: which they are, and each of them as a source of its own; the descriptor of both."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, LiteralString

from penstock.connectors.postgres.names import OWN_PREFIX, TableName, nearest_table, parse_name
from penstock.connectors.postgres.params import PostgresSourceParams, TableEntry
from penstock.connectors.postgres.pool import Connections
from penstock.connectors.postgres.source import PostgresSource
from penstock.errors import ConfigError
from penstock.registry import Capability, Descriptor
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Context
    from penstock.connectors.families import OnTableError

_LIST: Final[LiteralString] = """
SELECT n.nspname, c.relname, n.nspname = current_schema(),
       coalesce((SELECT array_agg(a.attname ORDER BY array_position(i.indkey::int2[], a.attnum))
                 FROM pg_catalog.pg_index i
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
                 WHERE i.indrelid = c.oid AND i.indisprimary), '{}')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'
AND NOT starts_with(c.relname, %s)
ORDER BY n.nspname, c.relname
"""


class Member(Frozen):
    """One table of a family. ``name`` as ``{table}`` shows it and positions are kept under: ``schema.table``, a part with
    dots or quotes in double quotes; ``keys`` as the document says, else the primary key's columns, else none.
    """

    name: str
    table: TableName
    keys: tuple[str, ...] = ()
    priority: int = 0

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.table.schema or "", self.table.name)

    @property
    def own_name(self) -> str:
        return _written(self.table.name)


class PostgresFamily:
    """``tables: [{name: sales.orders, keys: [id]}, "sales.*"]``. The members share one set of connections.

    ``members`` asks the server which tables the names and patterns mean now; ``source`` gives one of them as a source,
    with describe, latest, scan of its own; ``close`` ends all of them.
    """

    def __init__(self, params: PostgresSourceParams, context: Context) -> None:
        self._params = params
        self._connections = Connections(params.connection, "SRC", context.clock, context.wards)

    def members(self) -> tuple[Member, ...]:
        """Sorted by name, each once; what is named beats what a pattern matches. Partitions, system tables and
        Penstock's own are never matched by a pattern.

        Raises ConfigError SRC-203 (a name that is no table), SRC-208 (a pattern that matches none).
        """
        with self._connections.connection("listing tables") as connection:
            rows = connection.execute(_LIST, (OWN_PREFIX,)).fetchall()
        there = [
            (Member(f"{_written(schema)}.{_written(name)}", TableName(schema, name), tuple(keys)), in_path)
            for schema, name, in_path, keys in rows
        ]
        found: dict[str, Member] = {}
        for entry in sorted(self._entries(), key=lambda one: _is_pattern(one.name), reverse=True):
            for member in _matching(entry, there):
                found[member.name] = member
        return tuple(found[name] for name in sorted(found))

    @property
    def on_table_error(self) -> OnTableError:
        return self._params.on_table_error

    def source(self, member: Member, context: Context) -> PostgresSource:
        """One table; closing it leaves the family's connections open."""
        quoted = ".".join(_quoted(part) for part in member.parts)
        params = self._params.model_copy(update={"tables": None, "table": quoted})
        return PostgresSource(params, context, connections=self._connections)

    def close(self) -> None:
        """Give back the connections. Idempotent."""
        self._connections.close()

    def _entries(self) -> list[TableEntry]:
        return [e if isinstance(e, TableEntry) else TableEntry(name=e) for e in self._params.tables or ()]


def _quoted(part: str) -> str:
    return '"' + part.replace('"', '""') + '"'


def _written(part: str) -> str:
    """As a document writes it: two tables never share a name."""
    return _quoted(part) if "." in part or '"' in part else part


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def _matching(entry: TableEntry, there: Sequence[tuple[Member, bool]]) -> list[Member]:
    wanted = parse_name(entry.name, "SRC")
    pattern = _is_pattern(entry.name)
    matches = [member for member, in_path in there if _means(wanted, member.table, pattern=pattern, in_path=in_path)]
    if not matches:
        code, what = ("SRC-208", "matches no table") if pattern else ("SRC-203", "is no table or view")
        near = None if pattern else nearest_table(wanted, ((member.table, in_path) for member, in_path in there))
        hint = f'did you mean "{near}"?' if near else None
        raise ConfigError(code, f'"{entry.name}", named in tables, {what}', hint=hint, about=("tables",))
    return [Member(m.name, m.table, tuple(entry.keys) or m.keys, entry.priority) for m in matches]


def _means(wanted: TableName, table: TableName, *, pattern: bool, in_path: bool) -> bool:
    """Without a schema, the first of the search path is meant."""
    if not pattern:
        return table.name == wanted.name and (in_path if wanted.schema is None else table.schema == wanted.schema)
    in_schema = in_path if wanted.schema is None else fnmatchcase(table.schema or "", wanted.schema)
    return in_schema and fnmatchcase(table.name, wanted.name)


def make(params: PostgresSourceParams, context: Context) -> PostgresSource | PostgresFamily:
    """A source, or a family where the document says ``tables``."""
    return PostgresFamily(params, context) if params.tables is not None else PostgresSource(params, context)


SOURCE: Final = Descriptor(
    name="postgres",
    group="sources",
    summary="A PostgreSQL table, view or query, or many tables, read in one consistent snapshot.",
    params=PostgresSourceParams,
    make=make,
    example="type: postgres\nconnection: postgresql://reader@localhost:5432/shop\ntable: sales.orders\n",
    capabilities=frozenset(
        {Capability.PROJECTION, Capability.FILTER, Capability.NATIVE, Capability.SNAPSHOT, Capability.TABLE_FAMILY},
    ),
    extra="postgres",
    notes=(
        "A row is at most 2,000,000 bytes as text; a longer one becomes a reject, or the balance does not close (RUN-120).",
        "A live table cannot be read again as it was: with two or more sinks its rows are spooled first.",
        "numeric without declared digits arrives as exact text, unless `schema:` says which decimal it is.",
        "Infinite dates and timestamps, and the time 24:00:00, are bad values.",
        "Enums, ranges, network addresses, composite and extension types arrive as the server prints them.",
        "Ranges of row places are read in parallel from PostgreSQL 14 on; `split_by` divides by a column instead.",
    ),
)
