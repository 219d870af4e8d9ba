"""Moments that files keep to the nanosecond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_NANOSECONDS: Final = 1_000


def microseconds(nanoseconds: pa.Array) -> pa.Array:
    """Of int64: finer digits are cut off, also before 1970."""
    import pyarrow as pa
    import pyarrow.compute as pc

    down = pc.divide(nanoseconds, _NANOSECONDS)
    over = pc.less(nanoseconds, pc.multiply(down, _NANOSECONDS))
    return pc.subtract(down, over.cast(pa.int64()))
