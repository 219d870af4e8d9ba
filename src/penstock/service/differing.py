"""What a test found beside what it expects: rows as multisets with their types, in their order where one was asked for."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa

from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from penstock.errors import Location

    Row = Mapping[str, Any]

_DIGITS: Final = 15  # of a float that are compared: a decimal of so many survives in it
_PAIRED: Final = 200  # rows on either side of which the likest are looked for


class Difference(Frozen):
    """One row, reject or figure of a node that is missing (``found`` None), unexpected (``expected`` None), or another.

    ``at`` is the place of what is expected. A ``failure`` is a row that would end a run; its ``found`` says by which rule.
    """

    node: str
    what: Literal["row", "reject", "count", "order", "failure"]
    expected: Row | None
    found: Row | None
    at: Location | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Those whose values differ, where there is something on both sides."""
        expected, found = self.expected or {}, self.found or {}
        return tuple(name for name in expected if name in found and key_of(expected[name]) != key_of(found[name]))


class Reject(Frozen):
    """A row that a node rejected, and why: (cause, column)."""

    causes: tuple[tuple[str, str | None], ...]
    row: Row

    def told(self) -> Row:
        return {"cause": ", ".join(dict.fromkeys(cause for cause, _ in self.causes)), **self.row}


class WantedReject(Frozen):
    """A reject that is expected; ``row`` has the columns that count."""

    at: Location
    cause: str
    column: str | None
    row: Row

    def is_met_by(self, reject: Reject) -> bool:
        why = any(cause == self.cause and self.column in {None, column} for cause, column in reject.causes)
        return why and all(key_of(value) == key_of(reject.row.get(name)) for name, value in self.row.items())

    def told(self) -> Row:
        return {"cause": self.cause, **({"column": self.column} if self.column else {}), **self.row}


def of_rows(
    node: str, expected: pa.Table, found: pa.Table, places: Sequence[Location], *, ordered: bool
) -> Iterator[Difference]:
    """``places`` are those of the expected rows; only the columns of ``expected`` are looked at."""
    wanted, there = rows_of(expected), rows_of(found.select(expected.column_names))
    keys, found_keys = [_row_key(row) for row in wanted], [_row_key(row) for row in there]
    missing = _beyond(keys, found_keys)
    unexpected = _beyond(found_keys, keys)
    for one, other in _pairs([wanted[i] for i in missing], [there[i] for i in unexpected]):
        i, j = missing[one] if one is not None else None, unexpected[other] if other is not None else None
        yield Difference(
            node,
            "row",
            wanted[i] if i is not None else None,
            there[j] if j is not None else None,
            places[i] if i is not None else None,
        )
    if ordered and not missing and not unexpected and keys != found_keys:
        place = next(i for i, (key, other) in enumerate(zip(keys, found_keys, strict=True)) if key != other)
        yield Difference(node, "order", wanted[place], there[place], places[place])


def of_rejects(node: str, expected: Sequence[WantedReject], found: Sequence[Reject]) -> Iterator[Difference]:
    """What says most of its row takes its pick first."""
    left = list(found)
    for item in sorted(expected, key=lambda one: (one.column is None, -len(one.row))):
        met = next((reject for reject in left if item.is_met_by(reject)), None)
        if met is None:
            yield Difference(node, "reject", item.told(), None, item.at)
        else:
            left.remove(met)
    for reject in left:
        yield Difference(node, "reject", None, reject.told())


def rows_of(table: pa.Table) -> list[Row]:
    """The rows of a test: few."""
    columns = [_values(column) for column in table.columns]
    return [dict(zip(table.column_names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """The order of the keys in a JSON object says nothing."""
    found: list[Any] = column.to_pylist()
    if not isinstance(column.type, pa.JsonType):
        return found
    return [text and json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False) for text in found]


def _beyond(keys: Sequence[Hashable], others: Sequence[Hashable]) -> list[int]:
    """The places of the keys that the others have not, or not so often."""
    left = Counter(others)
    found = []
    for place, key in enumerate(keys):
        if left[key]:
            left[key] -= 1
        else:
            found.append(place)
    return found


def _pairs(wanted: Sequence[Row], there: Sequence[Row]) -> Iterator[tuple[int | None, int | None]]:
    """A missing row with the unexpected one that is most like it; those that are like none alone."""
    near = sorted(
        (
            (_likeness(row, other), i, j)
            for i, row in enumerate(wanted[:_PAIRED])
            for j, other in enumerate(there[:_PAIRED])
        ),
        key=lambda item: (-item[0], item[1], item[2]),
    )
    pairs: dict[int, int] = {}
    for likeness, i, j in near:
        if likeness and i not in pairs and j not in pairs.values():
            pairs[i] = j
    for i in range(len(wanted)):
        yield i, pairs.get(i)
    for j in range(len(there)):
        if j not in pairs.values():
            yield None, j


def _likeness(row: Row, other: Row) -> int:
    """How many values they share, nulls aside."""
    return sum(1 for name, value in row.items() if value is not None and key_of(value) == key_of(other.get(name)))


# ---------------------------------------------------------------- equality


def _row_key(row: Row) -> Hashable:
    return tuple((name, key_of(value)) for name, value in row.items())


def key_of(value: object) -> Hashable:
    """The same for values that count as the same: NaN is NaN, 0.0 is -0.0, a float has 15 digits."""
    match value:
        case bool():
            return ("bool", value)
        case float():
            return ("float", f"{value + 0.0:.{_DIGITS}g}")
        case list() | tuple():
            return tuple(map(key_of, value))
        case dict():
            return tuple((name, key_of(item)) for name, item in value.items())
        case _:
            return value
