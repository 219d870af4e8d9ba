"""Names of tables as documents write them."""

from __future__ import annotations

import re
from typing import Final

from penstock.errors import ConfigError
from penstock.structs import Frozen

_PART: Final = r'(?:"(?:[^"]|"")+"|[^".]+)'
_NAME: Final = re.compile(rf"(?:({_PART}(?:\.{_PART})*)\.)?({_PART})")


class TableName(Frozen):
    """``schema`` None: the connection's own; where databases have more levels, all that come before the table's name."""

    schema: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


def parse_name(text: str) -> TableName:
    """``table``, ``schema.table``, each part perhaps in double quotes. Raises ConfigError SRC-383."""
    match = _NAME.fullmatch(text)
    if match is None or "\0" in text:
        raise ConfigError(
            "SRC-383",
            f'"{text}" is not the name of a table',
            hint='write table or schema.table; a part with dots stands in double quotes, such as "a.b"',
            about=("table",),
        )
    before, name = match.groups()
    parts = [_unquoted(part) for part in re.findall(_PART, before or "")]
    return TableName(".".join(parts) or None, _unquoted(name))


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part
