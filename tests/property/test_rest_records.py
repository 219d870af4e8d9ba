"""Whatever a page holds, every record of it is a row or a reject, and rows hold what the record said."""

import json
from array import array

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.connectors.api import Allowance
from penstock.connectors.rest.database import Database
from penstock.connectors.rest.records import RecordReader
from penstock.connectors.rest.shape import Shape
from penstock.connectors.rest.spool import Entry, Group
from penstock.types import Schema

TYPES = (
    *(
        "int64",
        "uint8",
        "float64",
        "boolean",
        "string",
        "json",
        "date",
        "timestamptz",
        "decimal(12,4)",
        "decimal(38,10)",
    ),
    *(
        "uuid",
        "list<int64?>",
        "list<int64>",
        "struct<a: int64?, b: string?>",
        "map<string, int64?>",
        "list<list<date?>?>",
    ),
)
TEXTS = st.sampled_from(
    ["", "x", "1", "1.5", "2024-01-01", "2024-13-01", "true", "NaN", "null", "[1]", "\x00", "a'b\"\\", "é"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=6,
)
RECORDS = VALUES | st.dictionaries(st.sampled_from(["id", "v", "w"]), VALUES, max_size=3)


@pytest.fixture(scope="module")
def database():
    made = Database(Allowance())
    yield made
    made.close()


def group_of(pages):
    bodies = [json.dumps({"data": page}, ensure_ascii=False).encode() for page in pages]
    ends = array("q", [0])
    entries = []
    for number, (page, body) in enumerate(zip(pages, bodies, strict=True), start=1):
        entries.append(Entry(number, ends[-1], ends[-1] + len(body), "", Shape.ARRAY, len(page)))
        ends.append(ends[-1] + len(body))
    return Group(tuple(entries), b"".join(bodies), ends)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(RECORDS, max_size=5), min_size=1, max_size=3), st.sampled_from(TYPES), st.sampled_from(TYPES))
def test_every_record_is_a_row_or_a_reject(database, pages, one, other):
    schema = Schema.of({"v": f"{one}?", "w": f"{other}?"})
    reader = RecordReader(database, ("data",), schema, checked=schema, policy="reject")
    rows, rejects = reader.read(group_of(pages))
    places = (
        [json.loads(item)["page"] * 100 + json.loads(item)["record"] for item in rejects["position"].to_pylist()]
        if rejects
        else []
    )
    assert places == sorted(set(places))
    kept = [
        record
        for number, page in enumerate(pages, start=1)
        for at, record in enumerate(page, start=1)
        if number * 100 + at not in places
    ]
    assert rows.num_rows == len(kept)
    for record, row in zip(kept, rows.to_pylist(), strict=True):
        assert isinstance(record, dict)
        for name in ("v", "w"):
            assert (row[name] is None) == (record.get(name) is None)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORDS, max_size=6), st.sampled_from(TYPES))
def test_null_takes_the_place_of_what_does_not_fit(database, page, kind):
    schema = Schema.of({"v": f"{kind}?"})
    strict = RecordReader(database, ("data",), schema, checked=schema, policy="reject").read(group_of([page]))
    lenient = RecordReader(database, ("data",), schema, checked=Schema(), policy="null").read(group_of([page]))
    objects = [record for record in page if isinstance(record, dict)]
    assert lenient[0].num_rows == len(objects)
    assert (
        lenient[0].filter(lenient[0]["v"].is_valid()).num_rows == strict[0].filter(strict[0]["v"].is_valid()).num_rows
    )
