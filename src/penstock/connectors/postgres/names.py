"""Names of tables as documents write them: taken as they are, never folded to lower case."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigError, nearest
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg import sql

    from penstock.connectors.postgres.driver import Area

# PostgreSQL cuts longer names off without a word; so they are refused.
MAX_NAME_BYTES: Final = 63
OWN_PREFIX: Final = "_penstock_"
_PART: Final = r'(?:"(?:[^"]|"")+"|[^".]+)'
_NAME: Final = re.compile(rf"(?:({_PART})\.)?({_PART})")


class TableName(Frozen):
    """``schema`` None: wherever the session's search path finds it."""

    schema: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def identifier(self) -> sql.Identifier:
        from psycopg import sql

        return sql.Identifier(self.schema, self.name) if self.schema else sql.Identifier(self.name)


def parse_name(text: str, area: Area) -> TableName:
    """``table``, ``schema.table``, each part perhaps in double quotes. Raises ConfigError 203."""
    match = _NAME.fullmatch(text)
    parts = [_unquoted(part) for part in match.groups() if part is not None] if match else []
    if not parts or any(too_long(part) or "\0" in part for part in parts):
        raise ConfigError(
            f"{area}-203",
            f'"{text}" is not the name of a table',
            detail=f"a name has one or two parts of at most {MAX_NAME_BYTES} bytes each",
            hint='write table or schema.table; a part with dots or quotes stands in double quotes, such as "a.b"',
        )
    return TableName(parts[0] if len(parts) > 1 else None, parts[-1])


def nearest_table(wanted: TableName, there: Iterable[tuple[TableName, bool]]) -> str | None:
    """The table that was meant, where one is near: one of the same schema by its name, else one of that name in another.
    Each comes with whether the search path leads to it.
    """
    known = list(there)
    beside = [
        table.name for table, in_path in known if (in_path if wanted.schema is None else table.schema == wanted.schema)
    ]
    near = nearest(wanted.name, beside)
    if near is not None:
        return str(TableName(wanted.schema, near))
    return next((str(table) for table, _ in known if table.name == wanted.name), None)


def too_long(name: str) -> bool:
    """Whether PostgreSQL would cut the name off."""
    return len(name.encode()) > MAX_NAME_BYTES


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part
