"""The mariadb connector and what goes wrong: crash points, others at work, tables that do not fit, logins."""

from __future__ import annotations

from contextlib import closing, contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from mariadb_labs import BOTH, MODES, CrashError, Lab, crash_at, opened, refused

from penstock.connectors.api import ScanRequest
from penstock.connectors.mariadb.sink import CRASH_POINTS
from penstock.errors import ConfigError, DataError, TransientError
from penstock.testing.delivery import fill, pull
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import SINK_ID, stage
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.connectors.mariadb.sink import MariadbSink
    from penstock.connectors.mariadb.source import MariadbSource
    from penstock.errors import PenstockError

pytestmark = pytest.mark.server

FIRST = rows((1, "one"), (2, "two"))
SECOND = rows((2, "TWO"), (3, "three"))
AFTER = {
    "append": [(1, "one"), (2, "TWO"), (2, "two"), (3, "three")],
    "overwrite": [(2, "TWO"), (3, "three")],
    "merge": [(1, "one"), (2, "TWO"), (3, "three")],
}


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    with opened(request, tmp_path) as made:
        yield made


# ---------------------------------------------------------------- crash points, and others at work


@BOTH
def test_the_sink_passes_exactly_these_points(lab: Lab) -> None:
    passed: list[str] = []
    deliver(lab.sink("append", passed.append), epoch(1), FIRST)
    assert tuple(passed) == CRASH_POINTS


@pytest.mark.parametrize(
    ("lab", "mode"),
    [
        *(("mariadb", mode) for mode in MODES),
        ("mysql", "merge"),
        *(pytest.param("mysql", mode, marks=pytest.mark.long) for mode in ("append", "overwrite")),
    ],
    indirect=["lab"],
)
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_an_epoch_that_fails_at_a_point_is_redone_once(lab: Lab, point: str, mode: str) -> None:
    deliver(lab.sink(mode), epoch(1), FIRST)
    with closing(lab.sink(mode, crash_at(point))) as dying, pytest.raises(CrashError):
        deliver(dying, epoch(2), SECOND)
    with closing(lab.sink(mode)) as again:
        marker = again.marker(SINK_ID)
        assert marker is not None
        assert marker.epoch == (2 if point == "mariadb.committed" else 1)
        deliver(again, epoch(2, fence=2 - marker.epoch % 2), SECOND)
    assert lab.rows() == AFTER[mode]
    assert not lab.staging()


@BOTH
def test_a_writer_that_hangs_is_ended_by_who_takes_the_sink_over(lab: Lab) -> None:
    sink = lab.sink()
    deliver(sink, epoch(1), FIRST)
    hanging = sink.writer(epoch(2), from_arrow(SECOND.schema))
    fill(hanging, SECOND)
    with closing(lab.sink()) as newer:
        newer.marker(SINK_ID)
        assert not lab.staging()
        deliver(newer, epoch(2, fence=2), SECOND)
    assert refused(hanging.stage).code == "SNK-231"
    assert lab.rows() == AFTER["append"]


@BOTH
def test_staged_rows_that_another_run_removed_are_not_missed_in_silence(lab: Lab) -> None:
    sink = lab.sink()
    sink.prepare(from_arrow(FIRST.schema))
    staged = stage(sink, epoch(1), FIRST)
    lab.sink().marker(SINK_ID)
    assert refused(lambda: sink.commit(epoch(1), [staged])).code == "SNK-244"
    assert lab.rows() == []


@BOTH
def test_staged_rows_that_somebody_deletes_are_not_missed_in_silence(lab: Lab) -> None:
    sink = lab.sink()
    sink.prepare(from_arrow(FIRST.schema))
    staged = stage(sink, epoch(1), FIRST)
    lab.run(f"DELETE FROM {lab.staging()[0]} WHERE id = 1")
    assert refused(lambda: sink.commit(epoch(1), [staged])).code == "SNK-244"
    assert lab.rows() == []


@BOTH
def test_a_lost_answer_to_a_commit_is_told_as_unclear(lab: Lab) -> None:
    def cut(reached: str) -> None:
        if reached == "mariadb.marked":
            for number, user in lab.run("SELECT id, user FROM information_schema.processlist WHERE db = DATABASE()"):
                if number != lab.connection.thread_id() and user == "root":
                    lab.run(f"KILL {number}")

    with pytest.raises(TransientError) as caught:
        deliver(lab.sink("append", cut), epoch(1), FIRST)
    assert caught.value.code == "SNK-240"
    deliver(lab.sink(), epoch(1, fence=2), FIRST)
    assert lab.rows() == [(1, "one"), (2, "two")]


@BOTH
def test_who_waits_too_long_for_another_is_transient(lab: Lab) -> None:
    deliver(lab.sink("merge"), epoch(1), FIRST)
    lab.run("BEGIN")
    lab.run("UPDATE t SET name = 'held' WHERE id = 2")
    impatient = lab.sink("merge", connection={"url": lab.url, "lock_timeout": "1 s"})
    with pytest.raises(TransientError) as caught:
        deliver(impatient, epoch(2), SECOND)
    assert caught.value.code == "SNK-235"
    lab.run("ROLLBACK")


@BOTH
def test_readers_see_the_old_rows_until_an_overwrite_is_committed(lab: Lab) -> None:
    seen: list[list[tuple[Any, ...]]] = []
    deliver(lab.sink("overwrite"), epoch(1), FIRST)
    deliver(lab.sink("overwrite", lambda _: seen.append(lab.rows())), epoch(2), SECOND)
    assert seen[:-1] == [[(1, "one"), (2, "two")]] * (len(CRASH_POINTS) - 1)
    assert seen[-1] == AFTER["overwrite"]


# ---------------------------------------------------------------- targets that do not fit


@pytest.mark.parametrize(
    ("made", "code"),
    [
        ("CREATE TABLE t (id bigint, name longtext) ENGINE = MyISAM", "SNK-247"),
        ("CREATE VIEW t AS SELECT 1 AS id", "SNK-233"),
        ("CREATE TABLE t (id bigint, name longtext, must int NOT NULL)", "SNK-245"),
    ],
)
def test_a_target_that_does_not_fit_is_refused_before_a_row_is_written(lab: Lab, made: str, code: str) -> None:
    lab.run(made)
    assert refused(lambda: lab.sink().preview(from_arrow(FIRST.schema))).code == code


@BOTH
def test_widening_a_column_with_a_default_is_refused(lab: Lab) -> None:
    lab.run("CREATE TABLE t (id int DEFAULT 7)")
    wide = pa.table({"id": pa.array([2**40])})
    assert refused(lambda: lab.sink(on_schema_change="evolve").preview(from_arrow(wide.schema))).code == "SNK-248"


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE t (id bigint, name varchar(2))",
        "CREATE TABLE t (id bigint, name enum('one', 'three'))",
        "CREATE TABLE t (id bigint, name longtext CHECK (name <> 'two'))",
        "CREATE TABLE t (id bigint CHECK (id < 2), name longtext)",
    ],
)
def test_a_value_that_the_table_does_not_take_is_refused_and_never_cut(lab: Lab, made: str) -> None:
    """LOAD DATA LOCAL only warns of what it changed."""
    lab.run(made)
    error = refused(lambda: deliver(lab.sink(), epoch(1), FIRST))
    assert isinstance(error, DataError)
    assert error.code == "SNK-236"
    assert lab.rows() == []
    lab.sink().marker(SINK_ID)
    assert not lab.staging()


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (rows((1, "a"), (1, "b")), "SNK-242"),
        (pa.table({"id": pa.array([1, None], pa.int64()), "name": ["a", "b"]}), "SNK-242"),
    ],
)
def test_keys_that_tell_no_rows_apart_are_refused(lab: Lab, table: pa.Table, code: str) -> None:
    lab.run("CREATE TABLE t (id bigint, name longtext)")
    assert refused(lambda: deliver(lab.sink("merge"), epoch(1), table)).code == code
    lab.run("ALTER TABLE t ADD PRIMARY KEY (id)")
    assert refused(lambda: deliver(lab.sink("merge"), epoch(1), table)).code == code


@BOTH
def test_a_target_with_a_key_twice_is_refused(lab: Lab) -> None:
    lab.run("CREATE TABLE t (id bigint, name longtext)")
    lab.run("INSERT INTO t VALUES (2, 'a'), (2, 'b')")
    assert refused(lambda: deliver(lab.sink("merge"), epoch(1), SECOND)).code == "SNK-243"


@pytest.mark.parametrize("values", [pa.array([float("nan")]), pa.array([-(7 * 10**16)]).cast(pa.timestamp("us"))])
def test_what_has_no_place_is_refused_by_its_column(lab: Lab, values: pa.Array) -> None:
    table = pa.table({"id": pa.array([1]), "value": values})
    error = refused(lambda: deliver(lab.sink(), epoch(1), table))
    assert error.code == "SNK-241"
    assert '"value"' in str(error)


@contextmanager
def setting(lab: Lab, name: str, value: str) -> Iterator[None]:
    """Of the whole server, for sessions that begin meanwhile."""
    ((before,),) = lab.run(f"SELECT @@GLOBAL.{name}")
    lab.run(f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        lab.run(f"SET GLOBAL {name} = {before}")


@BOTH
def test_a_server_that_takes_no_rows_from_clients_says_so_before_any_is_sent(lab: Lab) -> None:
    """As MySQL 8 is set up."""
    with setting(lab, "local_infile", "OFF"):
        error = refused(lambda: lab.sink().preview(from_arrow(FIRST.schema)))
    assert isinstance(error, ConfigError)
    assert error.code == "SNK-246"
    assert "set local_infile to ON" in str(error)


@BOTH
def test_a_value_that_does_not_fit_is_found_where_the_server_keeps_no_warnings(lab: Lab) -> None:
    lab.run("CREATE TABLE t (id bigint, name varchar(2))")
    with setting(lab, "max_error_count", "0"):
        assert refused(lambda: deliver(lab.sink(), epoch(1), FIRST)).code == "SNK-236"
    assert lab.rows() == []


@pytest.mark.parametrize("lab", ["mysql"], indirect=True)
def test_a_server_that_wants_primary_keys_of_all_tables_gets_them(lab: Lab) -> None:
    with setting(lab, "sql_require_primary_key", "ON"):
        error = refused(lambda: deliver(lab.sink(), epoch(1), FIRST))
        assert isinstance(error, ConfigError)
        assert error.code == "SNK-342"
        loads = {"merge": FIRST, "append": rows((9, "nine")), "overwrite": SECOND}
        for number, (mode, table) in enumerate(loads.items(), 1):
            deliver(lab.sink(mode), epoch(number), table)
    assert lab.rows() == AFTER["overwrite"]


@pytest.mark.parametrize("lab", ["mysql"], indirect=True)
@pytest.mark.parametrize("tls", ["disable", "require"])
def test_a_password_that_the_server_has_not_seen_yet_arrives_by_either_way(lab: Lab, tls: str) -> None:
    """caching_sha2_password: encrypted by the server's key, or by the connection."""
    user = {"user": f"fresh_{tls}", "password": "p'w \\ \N{SNOWMAN}"}
    lab.run(f"CREATE USER {user['user']}@'%' IDENTIFIED WITH caching_sha2_password BY 'p\\'w \\\\ \N{SNOWMAN}'")
    lab.run(f"GRANT ALL ON {lab.url.rpartition('/')[2]}.* TO {user['user']}@'%'")
    place = {"host": "127.0.0.1", "port": lab.server.port, "database": lab.url.rpartition("/")[2]}
    deliver(lab.sink(connection={**user, **place, "tls": tls}), epoch(1), FIRST)
    assert lab.rows() == [(1, "one"), (2, "two")]


# ---------------------------------------------------------------- sources


def test_every_type_arrives_as_it_is(lab: Lab) -> None:
    lab.run(
        "CREATE TABLE t (a mediumint unsigned, b bit(1), c bit(10), d year, e enum('x','y'), f set('p','q'), g inet6,"
        " h timestamp(6) NULL, i decimal(65,2), j char(3), k varbinary(4), l point, m tinyint(1), n decimal(4,1) unsigned)"
    )
    lab.run(
        "INSERT INTO t VALUES (16777215, b'1', b'1000000001', 1999, 'y', 'p,q', '::1', '2024-03-31 01:30:00.5', 1.5, 'ab',"
        " 0x00ff, POINT(1, 2), 1, 9.5)"
    )
    with closing(lab.source(table="t")) as source:
        found, _ = pull(source.scan(ScanRequest(source.partitions()[0], None, {"v": 1})))
        kinds = [str(column.type) for column in source.describe()]
    (row,) = found.to_pylist()
    assert kinds == [
        *("uint32", "boolean", "uint64", "int16", "string", "string", "string", "timestamptz", "string", "string"),
        *("binary", "string", "boolean", "decimal(4,1)"),
    ]
    assert row.pop("h").isoformat() == "2024-03-31T01:30:00.500000+00:00"
    assert list(row.values()) == [
        *(16777215, True, 513, 1999, "y", "p,q", "::1", "1.50", "ab", b"\x00\xff", "POINT(1 2)", True, Decimal("9.5"))
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "0000-00-00"),
        ("datetime", "2024-00-10"),
        ("time", "838:59:59"),
        ("time", "-00:00:01"),
        ("tinyint(1)", "5"),
    ],
)
def test_a_bad_value_is_null_or_what_no_reader_takes(lab: Lab, kind: str, value: str) -> None:
    lab.run("SET SESSION sql_mode = ''")
    lab.run(f"CREATE TABLE t (id int, a {kind} NULL)")
    lab.run(f"INSERT INTO t VALUES (1, '{value}')")
    with closing(lab.source(table="t", on_bad_value="null")) as source:
        found, _ = pull(source.scan(ScanRequest(source.partitions()[0], None, {"v": 1})))
    assert found.to_pylist() == [{"id": 1, "a": None}]
    with closing(lab.source(table="t")) as source:
        scanned = source.scan(ScanRequest(source.partitions()[0], None, {"v": 1}))
        with pytest.raises(duckdb.Error):
            pull(scanned)


def test_a_query_has_the_types_that_the_protocol_tells(lab: Lab) -> None:
    query = "SELECT CAST(1 AS UNSIGNED) AS a, CAST(1.5 AS DECIMAL(7,2)) AS b, 'x' AS c, x'00' AS d, NULL AS e -- all"
    with closing(lab.source(query=query)) as source:
        found, _ = pull(source.scan(ScanRequest(source.partitions()[0], None, {"v": 1})))
    assert found.drop_columns(["e"]).to_pylist() == [{"a": 1, "b": Decimal("1.50"), "c": "x", "d": b"\x00"}]


def test_a_row_that_the_server_does_not_send_is_named(lab: Lab) -> None:
    with closing(lab.source(query="SELECT REPEAT('x', 12000000) AS a, REPEAT('y', 12000000) AS b")) as source:
        scanned = source.scan(ScanRequest(source.partitions()[0], None, {"v": 1}))
        assert refused(lambda: pull(scanned)).code == "SRC-241"


def test_a_value_that_fails_in_the_midst_of_rows_is_told(lab: Lab) -> None:
    query = "SELECT IF(seq < 50000, 1, (SELECT 1 UNION SELECT 2)) AS a FROM seq_1_to_60000"
    with closing(lab.source(query=query)) as source:
        scanned = source.scan(ScanRequest(source.partitions()[0], None, {"v": 1}))
        assert refused(lambda: pull(scanned)).code == "SRC-234"


def test_a_table_that_is_not_there_tells_the_nearest(lab: Lab) -> None:
    lab.run("CREATE TABLE customers (id int)")
    with closing(lab.source(table="custmers")) as source:
        error = refused(source.describe)
    assert error.code == "SRC-233"
    assert 'did you mean "customers"?' in str(error)


def test_a_position_of_another_form_is_refused(lab: Lab) -> None:
    with closing(lab.sink()) as sink, closing(sink.table()) as table:
        assert refused(lambda: table.scan(ScanRequest(table.partitions()[0], None, {"v": 2}))).code == "SRC-240"


# ---------------------------------------------------------------- logins and rights


def _describe(lab: Lab, area: str, connection: object) -> PenstockError:
    made: MariadbSink | MariadbSource = (
        lab.sink(connection=connection) if area == "SNK" else lab.source(connection=connection, table="t")
    )
    with closing(made):
        return refused(made.describe)


@BOTH
@pytest.mark.parametrize("area", ["SRC", "SNK"])
def test_a_wrong_password_is_refused_and_not_shown(lab: Lab, area: str) -> None:
    url = f"mariadb://{lab.server.locked_user}:hunter2@127.0.0.1:{lab.server.port}/x"
    error = _describe(lab, area, url)
    assert error.code == f"{area}-232"
    assert "hunter2" not in repr(error) + str(error)


@pytest.mark.parametrize("area", ["SRC", "SNK"])
def test_a_server_that_is_not_there_is_transient(lab: Lab, area: str) -> None:
    assert isinstance(_describe(lab, area, "mariadb://x@127.0.0.1:9/nothing"), TransientError)


@BOTH
@pytest.mark.parametrize("area", ["SRC", "SNK"])
def test_a_database_that_is_not_there_is_named(lab: Lab, area: str) -> None:
    error = _describe(lab, area, lab.server.url("nowhere"))
    assert error.code == f"{area}-238"
    assert "nowhere" in str(error)


def test_a_sink_without_a_database_says_so(lab: Lab) -> None:
    assert _describe(lab, "SNK", lab.server.url()).code == "SNK-238"


@BOTH
@pytest.mark.parametrize("area", ["SRC", "SNK"])
def test_a_missing_right_is_named(lab: Lab, area: str) -> None:
    lab.run("CREATE TABLE t (id bigint, name longtext)")
    user = {"user": lab.server.locked_user, "password": lab.server.locked_password}
    place = {"host": "127.0.0.1", "port": lab.server.port, "database": lab.url.rpartition("/")[2]}
    error = _describe(lab, area, {**user, **place})
    assert error.code == f"{area}-237"
    assert isinstance(error, ConfigError)
