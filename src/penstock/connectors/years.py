"""Years of four digits: what many systems can hold of dates and moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.types import DATE, TIMESTAMP, TIMESTAMPTZ

if TYPE_CHECKING:
    import pyarrow as pa

    from penstock.types import Schema

# Days and microseconds since 1970 of the years 1 to 9999.
_DAYS: Final = (-719_162, 2_932_896)
_DAY_US: Final = 86_400_000_000
_MOMENTS: Final = (_DAYS[0] * _DAY_US, (_DAYS[1] + 1) * _DAY_US - 1)


def outside_four_digits(batch: pa.RecordBatch, schema: Schema) -> str | None:
    """The first column with a day or moment outside the years 1 to 9999; None: there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for field in schema:
        if field.type not in (DATE, TIMESTAMP, TIMESTAMPTZ):
            continue
        is_day = field.type == DATE
        bounds = _DAYS if is_day else _MOMENTS
        found = pc.min_max(batch.column(field.name).view(pa.int32() if is_day else pa.int64())).as_py()
        if found["min"] is not None and (found["min"] < bounds[0] or found["max"] > bounds[1]):
            return field.name
    return None
