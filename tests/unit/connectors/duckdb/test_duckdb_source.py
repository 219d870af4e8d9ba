"""A table or a view of a DuckDB file as a source."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from sqlglot import parse_one

from penstock.clock import SystemClock
from penstock.connectors.api import Context, Partition, ScanRequest
from penstock.connectors.duckdb.descriptors import SOURCE
from penstock.connectors.duckdb.driver import reading
from penstock.errors import ConfigError, DataError, FatalError, PenstockError, TransientError
from penstock.testing.delivery import pull

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.duckdb.source import DuckdbSource

pytestmark = pytest.mark.slow

PART = Partition()


def made(folder: Path, *statements: str, table: str = "t") -> DuckdbSource:
    with closing(duckdb.connect(folder / "x.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()
    params = SOURCE.params.model_validate({"type": "duckdb", "path": "x.duckdb", "table": table, "lock_wait": "1 ms"})
    found: DuckdbSource = SOURCE.make(params, Context("in", folder.joinpath, folder, SystemClock()))
    return found


def rows(source: DuckdbSource, *names: str, where: str | None = None) -> list[dict[str, Any]]:
    predicate = parse_one(where, dialect="duckdb") if where else None
    request = ScanRequest(PART, None, source.latest(PART), names or None, predicate)
    found: list[dict[str, Any]] = pull(source.scan(request))[0].to_pylist()
    return found


def refusal(act: Callable[[], object]) -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        act()
    return caught.value


def test_types_that_are_duckdbs_own_are_those_that_hold_them(tmp_path: Path) -> None:
    source = made(
        tmp_path,
        "CREATE TYPE mood AS ENUM ('sad', 'happy')",
        "CREATE TABLE t (h HUGEINT, e mood, n TIMESTAMP_NS, s TIMESTAMP_S, a INTEGER[2], b BIT)",
        "INSERT INTO t VALUES (-5, 'happy', '2024-01-01 00:00:00.000001999', '2024-01-01', [1, 2], '0101')",
    )
    kinds = {column.name: str(column.type) for column in source.describe()}
    assert kinds == {
        "h": "decimal(38,0)",
        "e": "string",
        "n": "timestamp",
        "s": "timestamp",
        "a": "list<int32?>",
        "b": "string",
    }
    moment = datetime(2024, 1, 1, 0, 0, 0, 2)  # noqa: DTZ001
    first = datetime(2024, 1, 1)  # noqa: DTZ001
    expected = {"h": Decimal(-5), "e": "happy", "n": moment, "s": first, "a": [1, 2], "b": "0101"}
    assert rows(source) == [expected]
    assert rows(source, "b", where="e = 'happy' and h < -4") == [{"b": "0101"}]
    assert rows(source, "b", where="e = 'sad'") == []


def test_days_and_times_without_a_zone_are_compared_there(tmp_path: Path) -> None:
    source = made(
        tmp_path, "CREATE TABLE t AS SELECT range AS id, DATE '2024-01-01' + range::INTEGER AS day FROM range(3)"
    )
    where = "day >= CAST('2024-01-02' AS DATE) AND day < CAST('2024-01-03 00:00:00' AS TIMESTAMP)"
    assert source.takes(parse_one(where, dialect="duckdb"))
    assert rows(source, "id", where=where) == [{"id": 1}]


@pytest.mark.parametrize("predicate", ["id % 2 = 0", "name::int = 3", "random() < 0.5", "id in (select 1)"])
def test_what_may_fail_or_differ_is_left_to_the_engine(tmp_path: Path, predicate: str) -> None:
    source = made(tmp_path, "CREATE TABLE t AS SELECT 1 AS id, 'x' AS name")
    assert not source.takes(parse_one(predicate, dialect="duckdb"))
    assert rows(source, where=predicate) == [{"id": 1, "name": "x"}]


def test_a_value_beyond_every_type_is_named(tmp_path: Path) -> None:
    source = made(tmp_path, "CREATE TABLE t AS SELECT 170141183460469231731687303715884105727::HUGEINT AS h")
    error = refusal(lambda: rows(source))
    assert (type(error), error.code) == (DataError, "SRC-337")


def test_a_type_that_there_is_none_of_is_named(tmp_path: Path) -> None:
    source = made(tmp_path, "CREATE TABLE t (u UNION(a INTEGER, b VARCHAR))")
    assert refusal(source.describe).code == "DOC-407"


def test_a_view_is_read_and_sees_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    statements = (
        "CREATE TABLE base AS SELECT range AS id FROM range(3)",
        "CREATE VIEW t AS SELECT id FROM base WHERE id > 0",
        f"CREATE VIEW spy AS SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')",
    )
    assert rows(made(tmp_path, *statements)) == [{"id": 1}, {"id": 2}]
    error = refusal(lambda: rows(made(tmp_path, table="spy")))
    assert (type(error), error.code) == (ConfigError, "SRC-334")


def test_a_table_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    source = made(tmp_path, "CREATE TABLE orders AS SELECT 1 AS id", table="order")
    error = refusal(source.describe)
    assert (type(error), error.code) == (ConfigError, "SRC-338")
    assert error.problems[0].hint == 'did you mean "orders"?'


def test_the_file_is_opened_to_read_only(tmp_path: Path) -> None:
    source = made(tmp_path, "CREATE TABLE t AS SELECT 1 AS id")
    (tmp_path / "x.duckdb").chmod(0o400)
    before = (tmp_path / "x.duckdb").read_bytes()
    with closing(duckdb.connect(tmp_path / "x.duckdb", read_only=True)):  # held by one that reads
        pass
    assert rows(source) == [{"id": 1}]
    assert (tmp_path / "x.duckdb").read_bytes() == before


def test_a_foreign_position_is_refused(tmp_path: Path) -> None:
    source = made(tmp_path, "CREATE TABLE t AS SELECT 1 AS id")
    assert refusal(lambda: source.scan(ScanRequest(PART, None, {"v": 9}))).code == "SRC-171"


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        ("IO Error: Could not read file", TransientError, "SRC-333"),
        ("Out of Memory Error: failed to allocate", FatalError, "SRC-336"),
    ],
)
def test_what_the_driver_says_has_a_class(said: str, kind: type[PenstockError], code: str) -> None:
    def act() -> None:
        with reading("x.duckdb"):
            raise duckdb.Error(said)

    error = refusal(act)
    assert (type(error), error.code) == (kind, code)
