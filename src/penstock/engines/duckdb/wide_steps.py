"""Parquet files that others cannot read: DuckDB 2.0 keeps the steps between numbers of 32 bits in up to 33 bits each, where
Arrow, and all that builds on it, refuses more than 32.

Source: the encodings of the Parquet format, DELTA_BINARY_PACKED, whose steps wrap around within the column's own width.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from penstock.types.logical import Kind, Primitive, children

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.types import LogicalType, Schema

_STORED_IN_32_BITS: Final = frozenset({Kind.INT32, Kind.UINT32, Kind.DATE})
_LARGEST_STEP: Final = 2**31 - 1
_NUMBER: Final = re.compile(r"-?\d+")


def may_have_wide_steps(schema: Schema, statistics: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether steps of a file may need more than 32 bits. ``statistics`` are COPY's (RETURN_STATS): least and greatest
    values as texts by the column's path, such as ``"lines"."element"``.
    """
    narrow = [_quoted(item.name) for item in schema if _STORED_IN_32_BITS.intersection(_kinds(item.type))]
    return any(
        _may_step_wide(found)
        for path, found in statistics.items()
        if any(path == name or path.startswith(f"{name}.") for name in narrow)
    )


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _may_step_wide(found: Mapping[str, str]) -> bool:
    """Of days only those without end: no others lie that far apart."""
    ends = (found.get("min", ""), found.get("max", ""))
    if all(map(_NUMBER.fullmatch, ends)):
        return int(ends[1]) - int(ends[0]) > _LARGEST_STEP
    return any("infinity" in end for end in ends)


def _kinds(logical: LogicalType) -> Iterator[Kind]:
    if isinstance(logical, Primitive):
        yield logical.kind
    for child in children(logical):
        yield from _kinds(child)
