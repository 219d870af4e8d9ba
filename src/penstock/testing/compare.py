"""Exact comparison of tables, row by row in the order of ``id``: NaN is NaN, -0.0 is not 0.0, 1.10 is not 1.1."""

from __future__ import annotations

import json
import struct
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa

from penstock.testing.data import ID

if TYPE_CHECKING:
    from collections.abc import Sequence


def stored_type(wanted: pa.DataType) -> pa.DataType:
    """A type as systems hand it back: UUID and JSON as string, the large and dictionary variants as the plain ones."""
    if isinstance(wanted, (pa.UuidType, pa.JsonType)) or pa.types.is_large_string(wanted):
        return pa.string()
    if pa.types.is_string_view(wanted):
        return pa.string()
    if pa.types.is_large_binary(wanted) or pa.types.is_binary_view(wanted):
        return pa.binary()
    if pa.types.is_dictionary(wanted):
        return stored_type(wanted.value_type)
    if pa.types.is_map(wanted):
        return pa.map_(stored_type(wanted.key_type), stored_type(wanted.item_type))
    if pa.types.is_list(wanted) or pa.types.is_large_list(wanted):
        return pa.list_(stored_type(wanted.value_type))
    if pa.types.is_struct(wanted):
        return pa.struct([(field.name, stored_type(field.type)) for field in wanted])
    if pa.types.is_timestamp(wanted) and wanted.tz is not None:
        return pa.timestamp(wanted.unit, tz="UTC")
    return wanted


def canonical(value: Any, kind: pa.DataType) -> Any:
    """A value in a form in which equal means identical."""
    if value is None:
        return None
    if isinstance(kind, pa.JsonType):
        return ("json", json.dumps(json.loads(value, parse_float=str), sort_keys=True))
    match value:
        case float():
            return "NaN" if value != value else struct.pack(">d", value).hex()  # noqa: PLR0124 -- NaN by definition
        case UUID():
            return str(value)
        case datetime() if value.tzinfo is not None:
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case list() if pa.types.is_map(kind):
            return [(canonical(k, kind.key_type), canonical(v, kind.item_type)) for k, v in value]
        case list():
            return [canonical(item, kind.value_type) for item in value]
        case dict():
            return {field.name: canonical(value.get(field.name), field.type) for field in kind}
        case _:
            return value if isinstance(value, (str, bytes, int)) else str(value)


def rows_of(table: pa.Table, kinds: pa.Schema) -> list[tuple[Any, ...]]:
    """The rows as comparable tuples, in the order of ``id`` where there is one."""
    columns = []
    for field in kinds:
        column = table.column(field.name)
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:
            column = column.cast(pa.timestamp("us", tz="UTC"))
        columns.append([canonical(value, field.type) for value in column.to_pylist()])
    rows = list(zip(*columns, strict=True))
    return sorted(rows, key=lambda row: row[kinds.names.index(ID)]) if ID in kinds.names else rows


def assert_same(actual: pa.Table | None, expected: pa.Table) -> None:
    """AssertionError that names the first difference in columns, types, number of rows, or a value.

    None counts as a table without rows: a target that is not there has none.
    """
    if actual is None:
        assert expected.num_rows == 0, f"nothing is there, expected {expected.num_rows} rows"
        return
    assert actual.column_names == expected.column_names, f"columns {actual.column_names}, not {expected.column_names}"
    for name in expected.column_names:
        found, wanted = (stored_type(table.schema.field(name).type) for table in (actual, expected))
        assert found.equals(wanted), f"column {name!r} is {found}, not {wanted}"
    assert actual.num_rows == expected.num_rows, f"{actual.num_rows} rows, not {expected.num_rows}"
    _assert_values(rows_of(actual, expected.schema), rows_of(expected, expected.schema), expected.column_names)


def _assert_values(actual: Sequence[tuple[Any, ...]], expected: Sequence[tuple[Any, ...]], names: list[str]) -> None:
    for found, wanted in zip(actual, expected, strict=True):
        for name, one, other in zip(names, found, wanted, strict=True):
            assert one == other, f"column {name!r}: {str(one)[:200]!r}, not {str(other)[:200]!r}"
