"""A table's columns become those of the rows, for a full refresh: another table is made after it, filled, and takes its name.

What a table is made of (indexes, checks, partitions, defaults) the other one has too, as far as it needs no column that
goes; rights stay, since they go by the name. Triggers, foreign keys and a history would not move: then nothing is done.
A column that the rows do not bring goes, unless the database fills it itself (a default, AUTO_INCREMENT, a formula).

Each statement here commits by itself. A death before the names change leaves the old table, one after it the new one as a
whole, whose columns fit: the epoch is then an overwrite like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.mariadb.catalogue import indexes
from penstock.connectors.mariadb.columns import held, standing
from penstock.connectors.mariadb.driver import described, is_mariadb, rows_of, run
from penstock.connectors.mariadb.names import TableName
from penstock.connectors.mariadb.sql import Sql, identifier, joined, literal, sql
from penstock.connectors.server_tables import Refreshed
from penstock.errors import ConfigError
from penstock.structs import Frozen
from penstock.types import BINARY, JSON, STRING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pymysql.connections import Connection

    from penstock.connectors.mariadb.catalogue import Index, Relation
    from penstock.connectors.mariadb.columns import Dialect
    from penstock.types import Field, LogicalType, Schema

# No index takes the whole of them.
_ENDLESS: Final[tuple[LogicalType, ...]] = (STRING, BINARY, JSON)
# A foreign key of another table leads to it.
_REFERENCED: Final = (1217, 1451, 3730)
_PLAIN: Final = "BASE TABLE"
_HINT: Final = "drop what is named, and make it anew after the run"
_KIND: Final = "SELECT table_type FROM information_schema.tables WHERE table_schema = {} AND table_name = {}"
_TRIGGERS: Final = """
SELECT trigger_name FROM information_schema.triggers WHERE event_object_schema = {} AND event_object_table = {}
"""
_FOREIGN_KEYS: Final = """
SELECT DISTINCT constraint_name, table_schema, table_name FROM information_schema.key_column_usage
WHERE referenced_table_name IS NOT NULL
    AND ((table_schema = {} AND table_name = {}) OR (referenced_table_schema = {} AND referenced_table_name = {}))
"""
_VIEWS: Final = """
SELECT table_schema, table_name, view_definition FROM information_schema.views WHERE locate({}, view_definition) > 0
"""
# MariaDB names triggers to whoever may use the table, MySQL does not. Of the user itself: a role's rights are told elsewhere.
_SEES_TRIGGERS: Final = """
SELECT 1 FROM (
    SELECT privilege_type, grantee FROM information_schema.user_privileges UNION ALL
    SELECT privilege_type, grantee FROM information_schema.schema_privileges WHERE {} LIKE table_schema UNION ALL
    SELECT privilege_type, grantee FROM information_schema.table_privileges WHERE table_schema = {} AND table_name = {}
) AS given WHERE privilege_type = 'TRIGGER' AND grantee = {} LIMIT 1
"""


def refreshed(relation: Relation, rows: Schema) -> Refreshed:
    """What becomes of the table's columns."""
    return Refreshed(held(relation.columns, rows), _lasting(relation), rows)


def lasting(relation: Relation) -> Schema | None:
    """The columns that stay whatever the rows bring; None: there is none."""
    columns = [column for column in relation.columns if column.fills_itself]
    return held(columns) if columns else None


def _lasting(relation: Relation) -> list[str]:
    return [column.name for column in relation.columns if column.fills_itself]


# ---------------------------------------------------------------- what speaks against it


def check_free(connection: Connection[Any], relation: Relation, change: Refreshed, *, sink: str) -> None:
    """Raises ConfigError SNK-340 where the table has what would be lost, SNK-341 where that cannot be seen."""
    lost = [*_not_moved(connection, relation.table), *_broken(connection, relation.table, change)]
    if lost:
        raise ConfigError(
            "SNK-340",
            f'the columns of sink "{sink}" are not those of its table, which cannot be replaced without a loss',
            detail=f"it would lose {', '.join(lost)}",
            hint=_HINT,
        )
    if not is_mariadb(connection) and not _sees_triggers(connection, relation.table):
        raise ConfigError(
            "SNK-341",
            f'the columns of sink "{sink}" are not those of its table, which may have triggers that the user cannot see',
            detail="a new table takes its place, without them",
            hint="grant TRIGGER on the table to the user itself",
        )


def _place(table: TableName) -> tuple[Sql, Sql]:
    return literal(table.database or ""), literal(table.name)


def _not_moved(connection: Connection[Any], table: TableName) -> Iterator[str]:
    place = _place(table)
    for (name,) in rows_of(connection, sql(_TRIGGERS, *place)):
        yield f'the trigger "{name}"'
    for name, database, owner in rows_of(connection, sql(_FOREIGN_KEYS, *place, *place)):
        yield f'the foreign key "{name}" of "{database}.{owner}"'
    for (kind,) in rows_of(connection, sql(_KIND, *place)):
        if str(kind) != _PLAIN:
            yield f"what it is as a {str(kind).lower()} table"


def _broken(connection: Connection[Any], table: TableName, change: Refreshed) -> Iterator[str]:
    """A view names its columns in quotes, and all of them."""
    touched = {*change.going, *(field.name for field in change.changing)}
    for database, name, definition in rows_of(connection, sql(_VIEWS, literal(table.identifier()))):
        if any(identifier(column) in str(definition) for column in touched):
            yield f'the view "{database}.{name}"'
    endless = {field.name for field in change.changing if field.type in _ENDLESS}
    for index in indexes(connection, table):
        if not index.primary and endless & {*index.columns} and not {*change.going} & {*index.columns}:
            yield f'the index "{index.name}"'


def _sees_triggers(connection: Connection[Any], table: TableName) -> bool:
    user, _, host = str(rows_of(connection, sql("SELECT CURRENT_USER()"))[0][0]).rpartition("@")
    database, name = _place(table)
    grantee = literal(f"'{user}'@'{host}'")
    return bool(rows_of(connection, sql(_SEES_TRIGGERS, database, database, name, grantee)))


# ---------------------------------------------------------------- the table that takes its place


def columns_as_changed(relation: Relation, change: Refreshed, dialect: Dialect) -> tuple[list[Sql], dict[str, str]]:
    """Of a staging table for the rows: each column's definition, and its kind."""
    there = {column.name: column for column in relation.columns}
    new = {field.name for field in (*change.changing, *change.coming)}
    definitions, kinds = [], {}
    for field in change.rows:
        if field.name in new:
            definitions.append(dialect.definition(field, ()))
            kinds[field.name] = dialect.kind(field)
        else:
            definitions.append(standing(there[field.name], key=False))
            kinds[field.name] = there[field.name].kind
    return definitions, kinds


class Successor(Frozen):
    """An empty table ``name`` with the target's nature and the new columns, in the same database."""

    connection: Connection[Any]
    target: TableName
    name: TableName

    @classmethod
    def make(cls, connection: Connection[Any], target: Relation, name: str, steps: Sequence[Sql]) -> Successor:
        """``steps`` are those of ``alteration``."""
        made = cls(connection, target.table, TableName(target.table.database, name))
        run(connection, sql("CREATE TABLE {} LIKE {}", made.name.identifier(), target.identifier()))
        run(connection, sql("ALTER TABLE {} {}", made.name.identifier(), joined(", ", steps)))
        return made

    def take_place(self, old: str) -> None:
        """Both names change in one act; the old table is ``old`` then. Waits for whoever reads it."""
        self._rename(self.target, TableName(self.target.database, old), self.name)

    def drop(self, old: str, *, sink: str) -> None:
        """Remove the old table. Where that fails all names are as they were; raises ConfigError SNK-340 where another
        table needs it: one that the user cannot see.
        """
        import pymysql

        place = TableName(self.target.database, old)
        try:
            run(self.connection, sql("DROP TABLE {}", place.identifier()))
        except pymysql.err.Error as error:
            self._rename(self.target, self.name, place)
            if error.args[0] not in _REFERENCED:
                raise
            raise ConfigError(
                "SNK-340",
                f'the columns of sink "{sink}" are not those of its table, which cannot be replaced without a loss',
                detail=described(error),
                hint=_HINT,
            ) from None

    def _rename(self, target: TableName, to: TableName, by: TableName) -> None:
        names = (target.identifier(), to.identifier(), by.identifier(), target.identifier())
        run(self.connection, sql("RENAME TABLE {} TO {}, {} TO {}", *names))


def alteration(there: Sequence[Index], change: Refreshed, keys: Sequence[str], dialect: Dialect) -> list[Sql]:
    """The steps of one ALTER TABLE. ``keys`` become the primary key where none is left."""
    going = {*change.going}
    broken = [index for index in there if going & {*index.columns}]
    kept = next((index for index in there if index not in broken and _tells_apart(index, keys)), None)
    of_key = kept.columns if kept else keys
    fields = [change.rows[name] for name in of_key if name is not None and name in change.rows]
    steps = [_dropped(index) for index in broken]
    steps += [sql("DROP COLUMN {}", identifier(name)) for name in change.going]
    new = {field.name for field in (*change.changing, *change.coming)}
    modified = [field for field in change.rows if field.name in change.held and _is_new(field, new, fields, kept)]
    steps += [sql("MODIFY COLUMN {}", dialect.definition(field, fields)) for field in modified]
    steps += [sql("ADD COLUMN {}", dialect.definition(field, fields)) for field in change.coming]
    if fields and kept is None:
        steps.append(sql("ADD {}", dialect.key(fields)))
    return steps


def _tells_apart(index: Index, keys: Sequence[str]) -> bool:
    return index.primary or index.columns == tuple(keys)


def _is_new(field: Field, new: set[str], fields: Sequence[Field], kept: Index | None) -> bool:
    """Also a column that stays as it was becomes another where it enters a primary key."""
    return field.name in new or (kept is None and field in fields)


def _dropped(index: Index) -> Sql:
    return sql("DROP PRIMARY KEY") if index.primary else sql("DROP INDEX {}", identifier(index.name))
