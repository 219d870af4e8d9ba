"""Tables and queries of SQLite files that nobody made for us."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from penstock.clock import SystemClock
from penstock.connectors.api import REJECT_COLUMNS, Batches, Context, Contract, Partition, ScanRequest
from penstock.connectors.sqlite.descriptors import SOURCE
from penstock.errors import ConfigError, DataError, PenstockError
from penstock.types import Schema
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.connectors.api import Chunk
    from penstock.connectors.sqlite.source import SqliteSource


def made(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "x.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def source(folder: Path, contract: Contract | None = None, **given: object) -> SqliteSource:
    wanted = given or {"table": "t"}
    params = SOURCE.params.model_validate({"type": "sqlite", "path": "x.db", "lock_wait": "20 ms", **wanted})
    found: SqliteSource = SOURCE.make(params, Context("in", folder.joinpath, folder, SystemClock(), contract))
    return found


def chunks(found: SqliteSource) -> list[Chunk]:
    rows = found.scan(ScanRequest(Partition(), None, found.latest(Partition())))
    assert isinstance(rows, Batches)
    return list(rows.open())


def values(found: SqliteSource) -> list[dict[str, Any]]:
    return [row for chunk in chunks(found) for row in chunk.batch.to_pylist()]


def refusal(found: SqliteSource) -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        values(found)
    return caught.value


def types(found: SqliteSource) -> dict[str, str]:
    return {column.name: str(column.type) for column in found.describe()}


def test_foreign_types_are_taken_by_their_affinity(tmp_path: Path) -> None:
    made(
        tmp_path,
        "CREATE TABLE t (a INT, b BIGINT UNSIGNED, c VARCHAR(20), d DOUBLE PRECISION, e NUMERIC(10,2), f BLOB, "
        "g BOOLEAN, h DATETIME, i CLOB, j FLOATING POINT)",
    )
    assert types(source(tmp_path)) == {
        "a": "int64",
        "b": "int64",
        "c": "string",
        "d": "float64",
        "e": "float64",
        "f": "binary",
        "g": "boolean",
        "h": "string",
        "i": "string",
        "j": "int64",  # POINT holds INT: that is SQLite's own rule
    }


def test_columns_without_a_type_are_known_by_their_values(tmp_path: Path) -> None:
    made(
        tmp_path,
        "CREATE TABLE t (a, b, c, d, e)",
        "INSERT INTO t VALUES (1, 1.5, 'x', x'00', 1), (2, 2, 'y', null, 'z')",
    )
    assert types(source(tmp_path)) == {"a": "int64", "b": "float64", "c": "string", "d": "binary", "e": "string"}
    assert values(source(tmp_path)) == [
        {"a": 1, "b": 1.5, "c": "x", "d": b"\x00", "e": "1"},
        {"a": 2, "b": 2.0, "c": "y", "d": None, "e": "z"},
    ]


BAD = (
    "CREATE TABLE t (id INTEGER, n INTEGER, s TEXT, b BOOLEAN, d TEXT DATE, j TEXT JSON, u TEXT UUID, p TEXT DECIMAL(4,2))",
    "INSERT INTO t VALUES (1, 1, 'fine', 1, '2024-01-31', '{}', '6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f', '1.10')",
    "INSERT INTO t VALUES (2, 'text', 'x', 0, '2024-01-31', '1', null, '1')",
    "INSERT INTO t VALUES (3, 2.5, CAST(x'ff' AS TEXT), 7, '31.1.2024', '{', 'no uuid', '100.00')",
    "INSERT INTO t VALUES (4, null, null, null, null, null, null, null)",
    "INSERT INTO t VALUES (5, x'41', 'x', 'yes', '', 'nul', '', 'NaN')",
)


def test_values_that_do_not_fit_become_rejects_and_lose_nothing(tmp_path: Path) -> None:
    made(tmp_path, *BAD)
    (chunk,) = chunks(source(tmp_path))
    assert chunk.batch["id"].to_pylist() == [1, 4]
    assert chunk.rejects is not None
    assert chunk.rejects.schema == to_arrow(Schema.of(REJECT_COLUMNS))
    rejected = chunk.rejects.to_pylist()
    assert [[cause["column"] for cause in row["causes"]] for row in rejected] == [
        ["n"],
        ["n", "s", "b", "d", "j", "u", "p"],
        ["n", "b", "d", "j", "u", "p"],
    ]
    assert {cause["code"] for row in rejected for cause in row["causes"]} == {"SRC-178"}
    assert json.loads(rejected[1]["row"])["s"] == "ff"
    assert json.loads(rejected[1]["row"])["d"] == "31.1.2024"
    assert json.loads(rejected[0]["position"]) == {"from": "t", "row": 2}


@pytest.mark.parametrize(
    "texts", [["[1", "2]"], ["[1", "2],3"], ["[1", "2],3,4"], ["NaN"], ["1,2"], ["", "1"], ["1 2"]]
)
def test_texts_that_are_json_only_together_are_bad_values(tmp_path: Path, texts: list[str]) -> None:
    made(tmp_path, "CREATE TABLE t (j TEXT JSON)")
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.executemany("INSERT INTO t VALUES (?)", [('{"a": [1]}',), *((text,) for text in texts), ("null",)])
        connection.commit()
    (chunk,) = chunks(source(tmp_path))
    assert chunk.rejects is not None
    good = sum(text == "1" for text in texts)
    assert (chunk.batch.num_rows, chunk.rejects.num_rows) == (2 + good, len(texts) - good)


def test_the_contract_says_what_a_bad_value_does(tmp_path: Path) -> None:
    made(tmp_path, "CREATE TABLE t (n TEXT)", "INSERT INTO t VALUES ('1'), ('x'), ('3')")
    schema = Schema.of({"n": "decimal(3,0)?"})
    assert types(source(tmp_path, Contract(schema))) == {"n": "decimal(3,0)"}
    assert [row["n"] for row in values(source(tmp_path, Contract(schema, on_bad_value="null")))] == [1, None, 3]
    error = refusal(source(tmp_path, Contract(schema, on_bad_value="fail")))
    assert (type(error), error.code) == (DataError, "SRC-178")
    assert "row 2" in str(error)


def test_a_view_and_a_generated_column_are_read(tmp_path: Path) -> None:
    made(
        tmp_path,
        "CREATE TABLE o (a INTEGER, b INTEGER AS (a * 2))",
        "INSERT INTO o VALUES (21)",
        "CREATE VIEW t AS SELECT * FROM o",
    )
    assert values(source(tmp_path)) == [{"a": 21, "b": 42}]
    assert values(source(tmp_path, table="O")) == [{"a": 21, "b": 42}]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "SELECT 1; DROP TABLE t",
        "ATTACH 'other.db' AS o",
        "PRAGMA user_version = 3",
        "SELECT * FROM missing",
        "SELECT no_such_function(1)",
        "SELECT load_extension('x')",
        "SELEC 1",
        "SELEC * FROM t",
        "",
        "-- nothing",
    ],
)
def test_a_query_is_one_select_that_works_or_is_refused(tmp_path: Path, query: str) -> None:
    made(tmp_path, "CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)")
    if not query:
        with pytest.raises(ValidationError):
            source(tmp_path, query=query)
        return
    with pytest.raises(ConfigError) as caught:
        source(tmp_path, query=query).describe()
    assert caught.value.code == "SRC-177"
    assert "<class" not in str(caught.value)
    assert values(source(tmp_path)) == [{"a": 1}]


def test_a_query_computes_what_it_says(tmp_path: Path) -> None:
    made(tmp_path, "CREATE TABLE t (a INTEGER, d TEXT DATE)", "INSERT INTO t VALUES (1, '2024-01-31'), (2, null)")
    found = source(
        tmp_path,
        query="WITH x AS (SELECT a, d FROM t) SELECT d, sum(a) AS total, 'é' AS e FROM x GROUP BY d ORDER BY 2",
    )
    assert types(found) == {"d": "date", "total": "int64", "e": "string"}
    assert [row["total"] for row in values(found)] == [1, 2]


def test_a_table_that_is_not_there_gets_the_nearest_name(tmp_path: Path) -> None:
    made(tmp_path, "CREATE TABLE orders (a INTEGER)")
    error = refusal(source(tmp_path, table="order"))
    assert (type(error), error.code) == (ConfigError, "SRC-176")
    assert 'did you mean "orders"?' in str(error)


@pytest.mark.parametrize("content", [b"a,b\n", b"y" * 9_000])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.db").write_bytes(content)
    assert refusal(source(tmp_path)).code == "SRC-175"


def test_a_cut_database_is_named(tmp_path: Path) -> None:
    made(tmp_path, "CREATE TABLE t (a TEXT)", *["INSERT INTO t VALUES (hex(zeroblob(3000)))"] * 20)
    content = (tmp_path / "x.db").read_bytes()
    (tmp_path / "x.db").write_bytes(content[: len(content) // 2])
    assert refusal(source(tmp_path)).code == "SRC-175"


def test_a_missing_file_and_a_locked_one_are_told_apart(tmp_path: Path) -> None:
    assert refusal(source(tmp_path)).code == "SRC-173"
    assert not (tmp_path / "x.db").exists()
    made(tmp_path, "CREATE TABLE t (a INTEGER)")
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert refusal(source(tmp_path)).code == "SRC-174"


def test_a_position_of_another_version_is_refused(tmp_path: Path) -> None:
    made(tmp_path, "CREATE TABLE t (a INTEGER)")
    with pytest.raises(ConfigError) as caught:
        source(tmp_path).scan(ScanRequest(Partition(), None, {"v": 2}))
    assert caught.value.code == "SRC-171"


@pytest.mark.parametrize("given", [{"table": "t", "query": "SELECT 1"}, {"table": ""}, {"query": None}])
def test_table_or_query_is_given_one_of_the_two(tmp_path: Path, given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        source(tmp_path, **given)
