"""What sources of databases share: the text of a query, and columns that the engine can tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import ConfigError
from penstock.fields import Located, reveal

if TYPE_CHECKING:
    from penstock.secret import Secret
    from penstock.types import Schema


def query_text(query: str | Secret | None) -> str:
    """What stands in the document, with its parameters as SQL."""
    return str(query.for_sql()) if isinstance(query, Located) else reveal(query or "")


def told_apart(schema: Schema) -> Schema:
    """The columns as they are. Raises ConfigError SRC-112."""
    for one, other in schema.case_collisions():
        raise ConfigError(
            "SRC-112",
            f'columns "{one}" and "{other}" differ only in case, which the engine takes for one name',
            hint="read them through a query that renames one of them",
        )
    return schema
