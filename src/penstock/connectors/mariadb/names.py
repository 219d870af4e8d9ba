"""Names of tables and columns as documents write them: taken as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from penstock.connectors.mariadb.sql import identifier
from penstock.errors import ConfigError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from penstock.connectors.mariadb.driver import Area
    from penstock.connectors.mariadb.sql import Sql

MAX_NAME_LENGTH: Final = 64
OWN_PREFIX: Final = "_penstock_"
_PART: Final = r"(?:`(?:[^`]|``)+`|[^`.]+)"
_NAME: Final = re.compile(rf"(?:({_PART})\.)?({_PART})")
_LAST_CHARACTER: Final = "\uffff"  # names are kept in three bytes of UTF-8 per character


class TableName(Frozen):
    """``database`` None: the connection's."""

    database: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.database}.{self.name}" if self.database else self.name

    def identifier(self) -> Sql:
        return identifier(self.database, self.name) if self.database else identifier(self.name)


def parse_name(text: str, area: Area) -> TableName:
    """``table``, ``database.table``, each part perhaps in backticks. Raises ConfigError 233."""
    match = _NAME.fullmatch(text)
    parts = [_unquoted(part) for part in match.groups() if part is not None] if match else []
    if not parts or any(unfit(part) for part in parts):
        raise ConfigError(
            f"{area}-233",
            f'"{text}" is not the name of a table',
            detail=f"a name has one or two parts of at most {MAX_NAME_LENGTH} characters each",
            hint="write table or database.table; a part with dots stands in backticks, such as `a.b`",
        )
    return TableName(parts[0] if len(parts) > 1 else None, parts[-1])


def unfit(name: str) -> str | None:
    """Why no column or table can have the name, in words; None: it can."""
    if len(name) > MAX_NAME_LENGTH:
        return f"MariaDB's names have at most {MAX_NAME_LENGTH} characters"
    if not name or name.endswith(" ") or "\0" in name or any(letter > _LAST_CHARACTER for letter in name):
        return "MariaDB's names do not end in a space and hold no NUL and no characters above U+FFFF"
    return None


def _unquoted(part: str) -> str:
    return part[1:-1].replace("``", "`") if part.startswith("`") else part
