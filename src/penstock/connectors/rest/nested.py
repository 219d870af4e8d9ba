"""Looking into Arrow columns: the arrays that a nested one is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator


def parts_of(values: pa.Array) -> Iterator[pa.Array]:
    """The array and, where it is nested, those inside it, without what stands below nulls."""
    yield values
    kind = values.type
    inner: list[pa.Array] = []
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = [values.flatten()]
    elif pa.types.is_map(kind):
        present = values.drop_null()
        start, end = (present.offsets[0].as_py(), present.offsets[-1].as_py()) if len(present) else (0, 0)
        inner = [present.items.slice(start, end - start)]
    elif pa.types.is_struct(kind):
        inner = values.drop_null().flatten()
    for part in inner:
        yield from parts_of(part)


def is_finite(values: pa.Array) -> bool:
    """Whether no number is NaN or infinite; true for what is no floating number."""
    if not pa.types.is_floating(values.type):
        return True
    return bool(pc.all(pc.is_finite(values), min_count=0).as_py())
