"""What conform refuses, by code, and nulls below nulls."""

import pyarrow as pa
import pytest

from penstock.errors import ConfigError, DataError
from penstock.types import Field, Schema, parse_type
from penstock.types.arrow import to_arrow
from penstock.types.conform import conform

INT32 = pa.array([1, None], pa.int32())
MASK = pa.array([False, True])
STRUCT = pa.StructArray.from_arrays([INT32], names=["a"], mask=MASK)


def conformed(array, spelling):
    schema = Schema.of({"it": spelling})
    batch = conform(pa.record_batch([array], names=["it"]), schema)
    batch.validate(full=True)
    assert batch.schema.equals(to_arrow(schema))
    return batch.column(0).to_pylist()


@pytest.mark.parametrize(
    ("array", "spelling", "values"),
    [
        (STRUCT, "struct<a: int64>?", [{"a": 1}, None]),
        (STRUCT, "struct<a: int32>?", [{"a": 1}, None]),
        (STRUCT.slice(1), "struct<a: int64>?", [None]),
        (pa.ListArray.from_arrays([0, 2], STRUCT), "list<struct<a: int64>?>", [[{"a": 1}, None]]),
        (pa.ListArray.from_arrays([0, 1, 1], STRUCT).slice(1), "list<struct<a: int64>>", [[]]),
        (pa.ListArray.from_arrays([0, None, 1], INT32), "list<int64>?", [[1], None]),
        (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int8())), "map<string,int64>?", [[("k", 1)], None]),
        (STRUCT, "struct<b: int8?, a: int64>?", [{"b": None, "a": 1}, None]),
    ],
)
def test_a_null_above_a_place_that_is_never_null_is_none_of_its_nulls(array, spelling, values):
    assert conformed(array, spelling) == values


@pytest.mark.parametrize(
    ("array", "spelling"),
    [
        (INT32, "int32"),
        (INT32, "int64"),
        (pa.StructArray.from_arrays([INT32], names=["a"]), "struct<a: int64>?"),
        (pa.StructArray.from_arrays([INT32], names=["a"]), "struct<a: int32>?"),
        (pa.ListArray.from_arrays([0, 2], INT32), "list<int64>?"),
        (pa.array([[("k", None)]], pa.map_(pa.string(), pa.int8())), "map<string,int8>?"),
        (pa.ListArray.from_arrays([0, 2], STRUCT), "list<struct<a: int64>>?"),
    ],
)
def test_a_null_where_none_may_be_is_refused(array, spelling):
    with pytest.raises(DataError, match='column "it" holds null') as caught:
        conformed(array, spelling)
    assert caught.value.code == "DOC-414"
    assert spelling.rstrip("?") in caught.value.problems[0].detail


@pytest.mark.parametrize(
    ("array", "spelling"),
    [
        (pa.array([1_001], pa.timestamp("ns")), "timestamp?"),
        (pa.array([2**62], pa.timestamp("s")), "timestamp?"),
        (pa.array([1], pa.time64("ns")), "time?"),
        (pa.array([[1_001]], pa.list_(pa.timestamp("ns"))), "list<timestamp?>?"),
        (pa.array(["not-a-secret-uuid"]), "uuid?"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_not_shown(array, spelling):
    with pytest.raises(DataError, match='value of the column "it" does not fit') as caught:
        conformed(array, spelling)
    assert caught.value.code == "DOC-413"
    assert "not-a-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "spelling"),
    [(pa.array([1.5]), "int64"), (pa.array(["1"]), "int64"), (pa.array([[1]]), "int64"), (pa.array([1]), "string")],
)
def test_a_type_that_cannot_be_the_wanted_one_is_refused(array, spelling):
    with pytest.raises(ConfigError, match='column "it" has the Arrow type') as caught:
        conformed(array, spelling)
    assert caught.value.code == "DOC-406"


def test_a_null_struct_over_json_and_a_never_null_place_is_taken():
    """Arrow can drop no nulls from a struct that holds an extension type."""
    kind = parse_type("struct<a: int64, j: json?>")[0]
    json = to_arrow(parse_type("json")[0])
    texts = pa.ExtensionArray.from_storage(json, pa.array(["{}", None, None], json.storage_type))

    def rows(numbers):
        mask = pa.array([False, True, False])
        struct = pa.StructArray.from_arrays([pa.array(numbers, pa.int64()), texts], names=["a", "j"], mask=mask)
        return pa.record_batch([struct], names=["s"])

    found = conform(rows([1, None, 2]), Schema((Field("s", kind),)))
    assert found.column(0).null_count == 1
    with pytest.raises(DataError) as caught:
        conform(rows([1, None, None]), Schema((Field("s", kind),)))
    assert caught.value.code == "DOC-414"
