"""A table's columns become those of the rows, for a full refresh: changed in place, so that all that hangs on the table
(grants, views, indexes, policies, other tables' keys) stays, as far as it needs no column that goes.

A column that the rows do not bring goes, unless the database fills it itself (a default, an identity, a formula).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from penstock.connectors.postgres.columns import held, type_of
from penstock.connectors.server_tables import Refreshed
from penstock.errors import ConfigError
from penstock.types import Schema

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from penstock.connectors.postgres.catalogue import Relation

# What else in the database speaks of these columns, by its name; what is the table's own goes with them.
_DEPENDENTS: Final[LiteralString] = """
SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, 0)
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = %s AND d.deptype = 'n' AND a.attname = ANY (%s)
ORDER BY 1
"""
_HAS_KEY: Final[LiteralString] = (
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = %s AND contype = 'p')"
)


def lasting(relation: Relation) -> Schema | None:
    """The columns that stay whatever the rows bring; None: there is none."""
    columns = [column for column in relation.columns if column.has_default or column.generated]
    return held(columns) if columns else None


def refreshed(relation: Relation, rows: Schema) -> Refreshed:
    """What becomes of the table's columns."""
    stays = lasting(relation) or Schema()
    return Refreshed(held(relation.columns, rows), stays.names, rows)


def check_free(connection: psycopg.Connection, relation: Relation, rows: Schema, *, sink: str) -> None:
    """Raises ConfigError SNK-215 where something else in the database needs a column that would go or change."""
    change = refreshed(relation, rows)
    touched = [*change.going, *(column.name for column in change.changing)]
    found = [row[0] for row in connection.execute(_DEPENDENTS, (relation.oid, touched)).fetchall()]
    if found:
        raise ConfigError(
            "SNK-215",
            f'the columns of sink "{sink}" are not those of its table, which other objects need as it is',
            detail=f"{', '.join(touched)} would go or change; {', '.join(found)} would break",
            hint="drop what depends on the columns, and make it anew after the run",
        )


def rebuild(connection: psycopg.Connection, relation: Relation, rows: Schema, keys: list[str]) -> None:
    """Within the caller's transaction, on a table that has been emptied. ``keys`` become its primary key if it has none."""
    from psycopg import sql

    table, change = relation.identifier(), refreshed(relation, rows)
    steps = [sql.SQL("DROP COLUMN {}").format(sql.Identifier(name)) for name in change.going]
    for column in change.changing:
        name, kind = sql.Identifier(column.name), type_of(column.type)
        steps.append(sql.SQL("ALTER COLUMN {} DROP DEFAULT").format(name))
        steps.append(sql.SQL("ALTER COLUMN {} TYPE {} USING NULL::{}").format(name, kind, kind))
    steps += [
        sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(item.name), type_of(item.type)) for item in change.coming
    ]
    for step in steps:
        connection.execute(sql.SQL("ALTER TABLE {} {}").format(table, step))
    row = connection.execute(_HAS_KEY, (relation.oid,)).fetchone()
    if keys and row is not None and not row[0]:
        connection.execute(sql.SQL("ALTER TABLE {} ADD {}").format(table, primary_key(keys)))


def primary_key(keys: list[str]) -> sql.Composed:
    """PRIMARY KEY (...)."""
    from psycopg import sql

    return sql.SQL("PRIMARY KEY ({})").format(sql.SQL(", ").join([sql.Identifier(key) for key in keys]))
