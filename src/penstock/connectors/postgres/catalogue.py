"""What the server's catalogue says: relations, their columns, and types with domains and arrays resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

from penstock.connectors.postgres.names import TableName
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import psycopg
    from psycopg import sql


_SYSTEM_ARRAYS: Final = frozenset({"int2vector", "oidvector"})
_ARRAY_CATEGORY: Final = "A"


class PgType(Frozen):
    """A type below its domains. ``name`` is pg_type.typname (``int4``, ``numeric``); ``spelling`` SQL's own, without
    modifier; ``modifier`` -1 where there is none; ``element`` of an array.
    """

    name: str
    spelling: str
    modifier: int = -1
    element: PgType | None = None
    built_in: bool = True

    @property
    def precision_and_scale(self) -> tuple[int, int] | None:
        """Of a numeric with declared digits; the scale may be negative or larger than the precision."""
        if self.name != "numeric" or self.modifier < 4:  # noqa: PLR2004 -- the size of a varlena header, added to modifiers
            return None
        packed = self.modifier - 4
        scale = packed & 0x7FF
        return (packed >> 16) & 0xFFFF, scale - 0x800 if scale >= 0x400 else scale  # noqa: PLR2004 -- 11 bits, signed


class PgColumn(Frozen):
    """One column. ``dimensions`` as declared (arrays); ``generated`` values are the table's own; ``identity`` refuses
    values unless overridden; ``bytewise`` is False where its collation takes differing texts for equal.
    """

    name: str
    type: PgType
    nullable: bool = True
    dimensions: int = 0
    generated: bool = False
    identity: bool = False
    has_default: bool = False
    bytewise: bool = True


class Relation(Frozen):
    """A table or view. ``kind`` is pg_class.relkind; ``blocks`` of its largest heap, 0 where it has none."""

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[PgColumn, ...]
    blocks: int = 0

    def identifier(self) -> sql.Identifier:
        from psycopg import sql

        return sql.Identifier(self.schema, self.name)


_FIND: Final[LiteralString] = """
SELECT c.oid, n.nspname, c.relname, c.relkind::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = %(name)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
AND n.nspname = ANY (CASE WHEN %(schema)s::text IS NULL THEN current_schemas(false) ELSE ARRAY[%(schema)s::name] END)
ORDER BY array_position(current_schemas(false), n.nspname) LIMIT 1
"""
_NAMES: Final[LiteralString] = """
SELECT n.nspname, c.relname, n.nspname = ANY (current_schemas(false))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' LIMIT 10000
"""
_BLOCKS: Final[LiteralString] = """
WITH RECURSIVE heaps(oid) AS (
    SELECT %s::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN heaps h ON i.inhparent = h.oid
)
SELECT coalesce(max(pg_catalog.pg_relation_size(c.oid)), 0) / current_setting('block_size')::int
FROM heaps h JOIN pg_catalog.pg_class c ON c.oid = h.oid WHERE c.relkind IN ('r', 'm')
"""
_COLUMNS: Final[LiteralString] = """
SELECT a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attndims, a.attgenerated::text = 's',
       a.attidentity::text = 'a', a.atthasdef OR a.attidentity::text <> '', coalesce(c.collisdeterministic, true)
FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_TYPES: Final[LiteralString] = """
WITH RECURSIVE wanted(oid) AS (
    SELECT unnest(%s::oid[])
    UNION
    SELECT unnest(ARRAY[t.typbasetype, t.typelem]) FROM pg_catalog.pg_type t JOIN wanted w ON w.oid = t.oid
)
SELECT t.oid, t.typname, t.typtype::text, t.typcategory::text, t.typbasetype, t.typtypmod, t.typelem, t.typndims,
       t.typnotnull, pg_catalog.format_type(t.oid, NULL), t.oid < 16384
FROM pg_catalog.pg_type t JOIN wanted w ON w.oid = t.oid
"""


def find_relation(connection: psycopg.Connection, table: TableName) -> Relation | None:
    """The relation of exactly that name, or None; its columns in order."""
    row = connection.execute(_FIND, {"name": table.name, "schema": table.schema}).fetchone()
    if row is None:
        return None
    oid, schema, name, kind = row
    size = connection.execute(_BLOCKS, (oid,)).fetchone()
    return Relation(oid, schema, name, kind, columns_of(connection, oid), int(size[0]) if size else 0)


def relations(connection: psycopg.Connection) -> list[tuple[TableName, bool]]:
    """Tables and views of the users', and whether the search path leads to them; of a great many not all."""
    rows = connection.execute(_NAMES).fetchall()
    return [(TableName(schema, name), in_path) for schema, name, in_path in rows]


def columns_of(connection: psycopg.Connection, oid: int) -> tuple[PgColumn, ...]:
    """The columns of a relation, in order."""
    rows = connection.execute(_COLUMNS, (oid,)).fetchall()
    types = _Types(connection, (row[1] for row in rows))
    return tuple(
        PgColumn(
            name=name,
            type=types.resolve(type_oid, modifier),
            nullable=not (not_null or types.refuses_null(type_oid)),
            dimensions=dimensions or types.dimensions(type_oid),
            generated=generated,
            identity=identity,
            has_default=has_default,
            bytewise=bytewise,
        )
        for name, type_oid, modifier, not_null, dimensions, generated, identity, has_default, bytewise in rows
    )


def columns_of_result(connection: psycopg.Connection, cursor: psycopg.Cursor[Any]) -> tuple[PgColumn, ...]:
    """The columns of a query's result; of those that are a table's own, their dimensions and collation are known."""
    result = cursor.pgresult
    if result is None:
        return ()
    places = [(result.ftable(at), result.ftablecol(at)) for at in range(result.nfields)]
    types = _Types(connection, (result.ftype(at) for at in range(result.nfields)))
    origin = _origins(connection, {table for table, _ in places if table})
    found = []
    for at, place in enumerate(places):
        dimensions, bytewise = origin.get(place, (0, not place[0]))
        found.append(
            PgColumn(
                name=(result.fname(at) or b"").decode(),
                type=types.resolve(result.ftype(at), result.fmod(at)),
                dimensions=dimensions or types.dimensions(result.ftype(at)),
                bytewise=bytewise and bool(place[0]),
            )
        )
    return tuple(found)


def _origins(connection: psycopg.Connection, tables: set[int]) -> Mapping[tuple[int, int], tuple[int, bool]]:
    rows = connection.execute(
        """
        SELECT a.attrelid, a.attnum, a.attndims, coalesce(c.collisdeterministic, true)
        FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
        WHERE a.attrelid = ANY(%s::oid[])
        """,
        (list(tables),),
    ).fetchall()
    return {(table, number): (dimensions, bytewise) for table, number, dimensions, bytewise in rows}


class _Types:
    """The types of these oids, and those below them."""

    def __init__(self, connection: psycopg.Connection, oids: Iterable[int]) -> None:
        rows: Sequence[tuple[Any, ...]] = connection.execute(_TYPES, (sorted(set(oids)),)).fetchall()
        self._rows = {row[0]: row for row in rows}

    def resolve(self, oid: int, modifier: int) -> PgType:
        """The type below its domains; a domain's own modifier counts."""
        _, name, kind, category, base, base_modifier, element, _, _, spelling, built_in = self._rows[oid]
        if kind == "d":
            return self.resolve(base, base_modifier)
        if category == _ARRAY_CATEGORY and element and name not in _SYSTEM_ARRAYS:
            return PgType(name, spelling, modifier, self.resolve(element, modifier), built_in)
        return PgType(name, spelling, modifier, None, built_in)

    def dimensions(self, oid: int) -> int:
        """Those that a domain over an array declares."""
        row = self._rows[oid]
        return int(row[7]) or (self.dimensions(row[4]) if row[2] == "d" else 0)

    def refuses_null(self, oid: int) -> bool:
        """Whether a domain says NOT NULL."""
        row = self._rows[oid]
        return bool(row[2] == "d" and (row[8] or self.refuses_null(row[4])))
