from __future__ import annotations

import pytest

from penstock.types import parse_type
from penstock.types.families import comparable


def _comparable(one: str, other: str) -> bool:
    found = {comparable(parse_type(a)[0], parse_type(b)[0]) for a, b in ((one, other), (other, one))}
    assert len(found) == 1  # symmetric
    return found.pop()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("int8", "uint64"),
        ("int64", "decimal(9,2)"),
        ("float32", "decimal(38,0)"),
        ("date", "timestamp"),
        ("timestamp", "timestamptz"),
        ("string", "json"),
        ("uuid", "uuid"),
        ("binary", "binary"),
        ("list<int8>", "list<float64?>"),
        ("map<string,int8>", "map<json,int64>"),
        ("struct<a: int8, b: date>", "struct<b: timestamp, a: int64>"),
    ],
)
def test_types_of_one_family_meet(one: str, other: str) -> None:
    assert _comparable(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("int64", "string"),
        ("date", "string"),
        ("date", "int64"),
        ("date", "time"),
        ("boolean", "int8"),
        ("uuid", "string"),
        ("binary", "string"),
        ("interval", "time"),
        ("list<int8>", "int8"),
        ("list<int8>", "list<string>"),
        ("map<string,int8>", "map<int8,int8>"),
        ("struct<a: int8>", "struct<b: int8>"),
        ("struct<a: int8>", "struct<a: int8, b: int8>"),
        ("struct<a: int8>", "map<string,int8>"),
    ],
)
def test_types_of_different_families_do_not(one: str, other: str) -> None:
    assert not _comparable(one, other)


@pytest.mark.parametrize("text", ["time", "interval", "boolean", "list<struct<a: map<string,date>>>"])
def test_a_type_meets_itself(text: str) -> None:
    assert _comparable(text, text)
