"""How documents say what divides a table, and that rows fall into the partitions that pyiceberg names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pydantic import TypeAdapter, ValidationError
from pyiceberg.conversions import to_bytes
from pyiceberg.types import BinaryType

from penstock.connectors.iceberg.partitions import Division, DivisionParam
from penstock.errors import ConfigError, DataError
from penstock.testing import data
from penstock.testing.sinks import deliver, epoch

if TYPE_CHECKING:
    from iceberg_tables import Lake

pytestmark = pytest.mark.slow

READ = TypeAdapter(DivisionParam)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("crude", "crude"),
        ({"month": "price_date"}, "month(price_date)"),
        ({"bucket": ["id", 16]}, "bucket[16](id)"),
        ({"truncate": ["name", 4]}, "truncate[4](name)"),
        (Division("identity", "crude"), "crude"),
    ],
)
def test_a_division_is_a_column_or_a_map_with_one_transform(written: object, shown: str) -> None:
    assert str(READ.validate_python(written)) == shown


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("", "takes a column, or a map"),
        ({}, "takes a column, or a map"),
        ({"month": "a", "day": "a"}, "takes a column, or a map"),
        ({"week": "a"}, "takes one of identity, year"),
        ({"month": ["a", 3]}, r"\{month: column\}"),
        ({"bucket": "id"}, r"\{bucket: \[column, 16\]\}"),
        ({"bucket": ["id", 0]}, r"\{bucket: \[column, 16\]\}"),
    ],
)
def test_what_is_no_division_is_told_what_is(written: object, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        READ.validate_python(written)


DIVIDED: list[tuple[str, Any]] = [
    *(("date", transform) for transform in ("identity", "year", "month", "day")),
    *(("timestamp", transform) for transform in ("identity", "year", "month", "day", "hour")),
    *(("timestamptz", transform) for transform in ("identity", "month", "day", "hour")),
    *((kind, "bucket") for kind in ("int64", "string", "date", "timestamptz", "uuid", "binary", "decimal(38,10)")),
    *((kind, "truncate") for kind in ("string", "binary")),
    *((kind, "identity") for kind in ("int64", "string", "boolean", "time", "decimal(38,10)")),
]
PLAIN_YEARS = {"date": pa.int32(), "timestamp": pa.int64(), "timestamptz": pa.int64()}
DAY_US = 86_400_000_000


def held(kind: str) -> pa.Array:
    """The hostile values of a type, but for days that pyiceberg's Python does not hold."""
    values = data.column(kind).values
    if kind not in PLAIN_YEARS:
        return values
    numbers = values.cast(PLAIN_YEARS[kind])
    unit = 1 if kind == "date" else DAY_US
    return values.filter(pa.array([n is None or -600_000 * unit < n < 2_900_000 * unit for n in numbers.to_pylist()]))


@pytest.mark.parametrize(("kind", "transform"), DIVIDED)
def test_every_file_has_the_rows_of_the_partition_that_pyiceberg_computes(
    lake: Lake, kind: str, transform: str
) -> None:
    table = data.table_of(held(kind))
    written: Any = {transform: ["value", 3]} if transform in ("bucket", "truncate") else {transform: "value"}
    deliver(lake.sink(partition_by=["value" if transform == "identity" else written]), epoch(1), table)
    found = lake.table()
    (part,) = found.spec().fields
    kind_of = found.schema().find_field("value").field_type
    compute = part.transform.transform(kind_of)
    seen: list[Any] = []
    for task in found.scan().plan_files():
        rows = found.scan(row_filter=f"id in ({', '.join(map(str, ids_in(task.file.file_path)))})").to_arrow()
        for value in rows.column("value").to_pylist():
            assert compute(internal(value, kind_of)) == task.file.partition[0]
        seen.append(task.file.partition[0])
    assert len(seen) == len(set(seen))
    assert found.scan().to_arrow().num_rows == table.num_rows


def ids_in(location: str) -> list[int]:
    import pyarrow.parquet as pq

    ids: list[int] = pq.read_table(location.removeprefix("file://"), columns=["id"]).column("id").to_pylist()
    return ids


def internal(value: Any, kind: Any) -> Any:
    from pyiceberg.partitioning import PartitionField, partition_record_value
    from pyiceberg.schema import Schema
    from pyiceberg.transforms import IdentityTransform
    from pyiceberg.types import NestedField

    if isinstance(kind, BinaryType):
        return value if value is None else to_bytes(kind, value)
    schema = Schema(NestedField(1, "value", kind, required=False))
    return partition_record_value(PartitionField(1, 1000, IdentityTransform(), "value"), value, schema)


def test_several_divisions_stand_beside_each_other(lake: Lake) -> None:
    table = pa.table({"id": [1, 2, 3], "name": ["a", "a", None], "size": [10, 20, 10]})
    sink = lake.sink(partition_by=["name", {"truncate": ["size", 20]}])
    deliver(sink, epoch(1), table)
    found = {tuple(task.file.partition[place] for place in range(2)) for task in lake.table().scan().plan_files()}
    assert found == {("a", 0), ("a", 20), (None, 0)}
    names = [field.name for field in lake.table().spec().fields]
    assert names == ["name", "size_truncate"]


def test_a_day_that_python_does_not_hold_cannot_name_a_partition(lake: Lake) -> None:
    table = pa.table({"id": [1], "value": pa.array([2**30], pa.int32()).cast(pa.date32())})
    with pytest.raises(DataError) as caught:
        deliver(lake.sink(partition_by=["value"]), epoch(1), table)
    assert caught.value.code == "SNK-252"


@pytest.mark.parametrize(
    ("kind", "division"),
    [
        ("float64", "value"),
        ("uuid", "value"),
        ("string", {"month": "value"}),
        ("date", {"hour": "value"}),
        ("boolean", {"bucket": ["value", 2]}),
    ],
)
def test_what_does_not_divide_is_refused_by_name(lake: Lake, kind: str, division: object) -> None:
    table = data.table_of(data.column(kind).values)
    with pytest.raises(ConfigError) as caught:
        deliver(lake.sink(partition_by=[division]), epoch(1), table)
    assert caught.value.code == "SNK-110"
    assert '"value"' in str(caught.value)
