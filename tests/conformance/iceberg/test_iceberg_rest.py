"""Tables in a REST catalog, over a small server that stands for the protocol (tests/iceberg_rest.py)."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from iceberg_rest import WRONG_TOKEN, rest_catalog
from penstock.errors import ConfigError
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import SINK_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from iceberg_tables import Lake


@pytest.fixture
def connection(lake: Lake) -> Iterator[dict[str, Any]]:
    with rest_catalog(lake.folder) as address:
        yield {"uri": address, "token": "right"}


def read(lake: Lake, connection: dict[str, Any]) -> list[dict[str, Any]]:
    with closing(lake.source(connection=connection)) as source:
        return sorted(lake.read(source).to_pylist(), key=lambda row: row["id"])


def test_a_table_is_made_filled_merged_and_read(lake: Lake, connection: dict[str, Any]) -> None:
    options: dict[str, Any] = {"connection": connection, "mode": "merge", "keys": ["id"], "partition_by": ["name"]}
    with closing(lake.sink(**options)) as sink:
        assert sink.marker(SINK_ID) is None
        assert deliver(sink, epoch(1), rows((1, "one"), (2, None))).inserted == 2
        receipt = deliver(sink, epoch(2), rows((2, "two"), (3, "three")))
        assert (receipt.inserted, receipt.updated) == (1, 1)
    with closing(lake.sink(**options)) as again:
        marker = again.marker(SINK_ID)
        assert marker is not None
        assert (marker.epoch, marker.receipt) == (2, receipt)
    assert read(lake, connection) == [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}, {"id": 3, "name": "three"}]


def test_who_was_overtaken_in_a_rest_catalog_writes_nothing(lake: Lake, connection: dict[str, Any]) -> None:
    def overtake(point: str) -> None:
        if point == "iceberg.committing" and not done:
            done.append(point)
            with closing(lake.sink(connection=connection)) as other:
                deliver(other, epoch(1, attempt="other"), rows((1, "other")))

    done: list[str] = []
    with closing(lake.sink(overtake, connection=connection)) as slow:
        deliver(slow, epoch(1, attempt="slow"), rows((1, "slow")))
    assert read(lake, connection) == [{"id": 1, "name": "other"}]


def test_columns_that_come_are_added_in_a_rest_catalog(lake: Lake, connection: dict[str, Any]) -> None:
    with closing(lake.sink(connection=connection, on_schema_change="evolve")) as sink:
        deliver(sink, epoch(1), rows((1, "one")))
        wider = pa.table({"id": pa.array([2], pa.int64()), "name": ["two"], "size": pa.array([7], pa.int64())})
        deliver(sink, epoch(2), wider)
    assert [row["size"] for row in read(lake, connection)] == [None, 7]


def test_a_login_that_is_refused_is_named_and_its_token_is_not(lake: Lake, connection: dict[str, Any]) -> None:
    wrong = {**connection, "token": WRONG_TOKEN}
    with closing(lake.source(connection=wrong)) as source, pytest.raises(ConfigError) as caught:
        source.describe()
    assert caught.value.code == "SRC-262"
    assert WRONG_TOKEN not in str(caught.value)
