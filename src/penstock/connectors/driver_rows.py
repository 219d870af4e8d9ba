"""Rows as a driver hands them over, tuple by tuple, turned into Arrow columns; those that do not fit become rejects.

A system's own module says how the values of one column become an array, and raises where one does not fit. Which ones
these are is found here by halving, so that few bad values cost few tries and good ones none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from penstock.connectors.api import REJECT_COLUMNS, Json
from penstock.errors import DataError, PenstockError
from penstock.structs import Frozen
from penstock.types import JSON, STRING, Schema
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from penstock.types import Field, LogicalType

    # The values of a column as an array of the type's Arrow form. Raises ArrowException, PenstockError, OverflowError,
    # ValueError, TypeError or AttributeError where one does not fit.
    ToArray = Callable[[Sequence[Any], LogicalType], pa.Array]

Policy = Literal["reject", "null", "fail"]


class Converted(Frozen):
    """Rows that fit, and one reject per row that does not (the columns of ``REJECT_COLUMNS``; None: all fit)."""

    batch: pa.RecordBatch
    rejects: pa.RecordBatch | None


class Converter(Frozen):
    """Of rows of one schema. ``named`` is what they are of, for messages; ``code`` that of a bad value."""

    schema: Schema
    to_array: ToArray
    policy: Policy
    named: str
    code: str

    def __call__(self, rows: Sequence[Sequence[Any]], first: int) -> Converted:
        """``first`` is the number of the first row, from 1. Raises DataError ``code`` where the policy is fail."""
        columns = list(zip(*rows, strict=True))
        bad: dict[int, list[tuple[str, str]]] = {}
        arrays = []
        for field, values in zip(self.schema, columns, strict=True):
            array, wrong = self._column(values, field.type)
            for place in wrong:
                bad.setdefault(place, []).append((field.name, f"not a value of type {field.type}"))
            arrays.append(array)
        batch = _batch(arrays, self.schema)
        if not bad or self.policy == "null":
            return Converted(batch, None)
        if self.policy == "fail":
            place = min(bad)
            column, reason = bad[place][0]
            raise DataError(
                self.code, f'row {first + place} of "{self.named}" has a bad value in column "{column}"', detail=reason
            )
        return self._without(batch, rows, bad=bad, first=first)

    def _column(self, values: Sequence[Any], logical: LogicalType) -> tuple[pa.Array, list[int]]:
        """The column, null where a value does not fit, and the places where that is so."""
        array = self._attempted(values, logical)
        if array is not None:
            return array, []
        wrong = list(self._misfits(values, logical, 0))
        gone = frozenset(wrong)
        return self.to_array([None if at in gone else value for at, value in enumerate(values)], logical), wrong

    def _misfits(self, values: Sequence[Any], logical: LogicalType, first: int) -> Iterator[int]:
        """The places of the values that do not fit, by halving."""
        if self._attempted(values, logical) is not None:
            return
        if len(values) == 1:
            yield first
            return
        middle = len(values) // 2
        yield from self._misfits(values[:middle], logical, first)
        yield from self._misfits(values[middle:], logical, first + middle)

    def _attempted(self, values: Sequence[Any], logical: LogicalType) -> pa.Array | None:
        import pyarrow as pa

        try:
            return self.to_array(values, logical)
        except (pa.ArrowException, PenstockError, OverflowError, ValueError, TypeError, AttributeError):
            return None

    def _without(
        self, batch: pa.RecordBatch, rows: Sequence[Sequence[Any]], *, bad: dict[int, list[tuple[str, str]]], first: int
    ) -> Converted:
        import pyarrow as pa

        kept = pa.array([place not in bad for place in range(batch.num_rows)])
        rejected = [
            {
                "position": json.dumps({"from": self.named, "row": first + place}),
                "row": json.dumps(_shown(rows[place], self.schema), ensure_ascii=False),
                "raw": None,
                "causes": [{"code": self.code, "column": column, "message": reason} for column, reason in bad[place]],
            }
            for place in sorted(bad)
        ]
        form = to_arrow(Schema.of(REJECT_COLUMNS))
        columns = [_reject_column(rejected, field) for field in Schema.of(REJECT_COLUMNS)]
        return Converted(batch.filter(kept), pa.RecordBatch.from_arrays(columns, schema=form))


def _batch(arrays: Sequence[pa.Array], schema: Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(list(arrays), schema=to_arrow(schema))


def _reject_column(rejected: Sequence[dict[str, Any]], field: Field) -> pa.Array:
    import pyarrow as pa

    values = [row[field.name] for row in rejected]
    return (
        pa.array(values, pa.string()).cast(to_arrow(field.type))
        if field.type in (JSON, STRING)
        else pa.array(values, to_arrow(field.type))
    )


def _shown(row: Sequence[Any], schema: Schema) -> dict[str, Json]:
    """The row as it entered, in what JSON can say."""
    return {name: _as_json(value) for name, value in zip(schema.names, row, strict=True)}


def _as_json(value: Any) -> Json:
    """Bytes that are no text as hexadecimal digits; what JSON has no form for, as Python writes it."""
    match value:
        case bytes() | bytearray() | memoryview():
            given = bytes(value)
            try:
                return given.decode()
            except UnicodeDecodeError:
                return given.hex()
        case float():
            return str(value) if value - value != 0 else value
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case None | bool() | int():
            return value
        case _:
            return str(value)


def check_json(texts: Sequence[str]) -> None:
    """Raises ValueError unless each text is one JSON value: all of them are parsed in one go, with marks between them."""
    mark = "end of a value"
    found = json.loads(f"[{f',{json.dumps(mark)},'.join(texts)}]", parse_constant=_no_constant)
    if len(found) != max(2 * len(texts) - 1, 0) or any(between != mark for between in found[1::2]):
        raise ValueError("text that is no JSON")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
