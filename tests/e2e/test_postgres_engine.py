"""From one PostgreSQL table to another through the engine: rows, counts, and bad values as rejects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import postgres_tables as tables
from penstock.connectors.api import ScanRequest
from penstock.connectors.postgres.params import PostgresSinkParams, PostgresSourceParams
from penstock.connectors.postgres.sink import PostgresSink
from penstock.connectors.postgres.source import PostgresSource
from penstock.engines.api import Limits, Pass
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.errors import TransientError
from penstock.graph import Graph
from penstock.graph.nodes import Read, Write
from penstock.testing import data
from penstock.testing.sinks import epoch

if TYPE_CHECKING:
    from penstock.connectors.api import Receipt
    from penstock.engines.api import Outcome
    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server


class Rejects:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def write(self, node: str, batch: pa.RecordBatch) -> None:  # noqa: ARG002 -- of the protocol
        self.records.extend(batch.to_pylist())

    def clear(self, node: str) -> None:  # noqa: ARG002 -- of the protocol
        self.records.clear()


def copy(url: str, folder: Path, rejects: Rejects, **sink_keys: object) -> tuple[Outcome, Receipt]:
    context = tables.context(folder)
    source = PostgresSource(
        PostgresSourceParams.model_validate({"type": "postgres", "connection": url, "table": "t"}), context
    )
    given = {"type": "postgres", "from": "t", "connection": url, "table": "copied", **sink_keys}
    sink = PostgresSink(PostgresSinkParams.model_validate(given), context)
    engine = DuckDBEngine(Limits(memory_bytes=1 << 30, threads=2), folder, (Path("/dev/fd"),))
    try:
        schema = source.describe().relaxed()
        (part,) = source.partitions()
        rows = source.scan(ScanRequest(part, None, source.latest(part)))
        graph = Graph((Read("t", source="t", schema=schema), Write("out", input="t", sink="out", schema=schema)))
        sink.prepare(schema)
        outcome = engine.run(
            Pass(graph),
            inputs={"t": [rows]},
            outputs={"out": lambda: sink.writer(epoch(1), schema)},
            rejects=rejects,
        )
        return outcome, sink.commit(epoch(1), outcome.staged["out"])
    finally:
        engine.close()
        source.close()
        sink.close()


def test_every_type_goes_from_table_to_table(
    postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    url = postgres_server.url(postgres_database)
    lacks = ("int8", "uint8", "uint16", "uint32", "uint64", "map<string,int64>", data.TYPES[-1], "string")
    whole = data.wide_table([name for name in data.TYPES if name not in lacks])
    texts = [s for s in data.STRINGS if "\0" not in s]
    whole = whole.append_column("text", pa.array([texts[i % len(texts)] for i in range(whole.num_rows)]))
    with tables.connect(url) as connection:
        tables.create(connection, "t", whole)
        outcome, receipt = copy(url, tmp_path, Rejects())
        assert receipt.inserted == whole.num_rows
        assert outcome.counts["t"].out == whole.num_rows
        differing = connection.execute(
            "SELECT count(*) FROM (SELECT t::text FROM t EXCEPT ALL SELECT c::text FROM copied c) AS lost"
        ).fetchone()
        assert differing == (0,)


def test_bad_values_become_rejects_and_the_rest_arrives(
    postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    url = postgres_server.url(postgres_database)
    rejects = Rejects()
    with tables.connect(url) as connection:
        connection.execute(
            """CREATE TABLE t (id int, day date, at time, price numeric(6,2)); INSERT INTO t VALUES
            (1, '2024-01-01', '12:00', 1.5), (2, 'infinity', '12:00', 1), (3, NULL, '24:00', 1), (4, NULL, NULL, 'NaN')"""
        )
        outcome, receipt = copy(url, tmp_path, rejects)
        assert receipt.inserted == 1
        assert connection.execute("SELECT id FROM copied").fetchall() == [(1,)]
    counts = outcome.counts["t"]
    assert (counts.out, counts.rejected) == (1, 3)
    columns = {cause["column"] for record in rejects.records for cause in record["causes"]}
    assert columns == {"day", "at", "price"}
    assert all(
        "infinity" in json.dumps(r) or "24:00" in json.dumps(r) or "NaN" in json.dumps(r) for r in rejects.records
    )


@pytest.mark.parametrize("rows", [0, 5_000])
def test_rows_are_held_against_what_the_server_says(
    postgres_server: PostgresServer, postgres_database: str, tmp_path: Path, rows: int
) -> None:
    """DuckDB's reader drops a last record of 32 MB without a word; the balance sees that it is missing."""
    url = postgres_server.url(postgres_database)
    with tables.connect(url) as connection:
        connection.execute("CREATE TABLE t (id int, name text)")
        connection.execute("INSERT INTO t SELECT i, 'x' FROM generate_series(1, %s) i", [rows])
        connection.execute("INSERT INTO t VALUES (0, repeat('y', 40000000))")
        counts = copy(url, tmp_path, Rejects())[0].counts["t"]
    assert counts.into == {"t": rows + 1}
    assert counts.out == rows


def test_a_server_that_goes_away_is_not_mistaken_for_bad_data(
    postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    url = postgres_server.url(postgres_database)
    with tables.connect(url) as connection:
        connection.execute(
            """CREATE FUNCTION die(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
            IF i = 20000 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN i; END $$;
            CREATE VIEW t AS SELECT die(i) AS id, repeat('x', 200) AS name FROM generate_series(1, 30000) i"""
        )
        with pytest.raises(TransientError) as caught:
            copy(url, tmp_path, Rejects())
        assert caught.value.code == "SRC-201"
        assert connection.execute("SELECT count(*) FROM copied").fetchone() == (0,)
