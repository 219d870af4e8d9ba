"""Schemas of Arrow tables, for the suites."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.types import Schema


def schema_of(schema: pa.Schema) -> Schema:
    """The logical schema of an Arrow schema."""
    from penstock.types import from_arrow

    return from_arrow(schema)
