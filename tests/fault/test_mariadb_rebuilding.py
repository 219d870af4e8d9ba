"""A full refresh with other columns on MariaDB and MySQL: what stays with the table, what speaks against it, deaths and rivals."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from mariadb_labs import BOTH, MYSQL_AT_LENGTH, CrashError, Lab, crash_at, opened, refused

from penstock.connectors.mariadb.sink import CRASH_POINTS, REBUILD_POINTS
from penstock.errors import ConfigError, FatalError, TransientError
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import OTHER_INCARNATION, SINK_ID
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.connectors.api import Epoch

pytestmark = pytest.mark.server

OLD = rows((1, "one"), (2, "two"))
NEW = pa.table({"id": pa.array([7, 8]), "name": pa.array([True, None]), "size": pa.array(["x", "y"])})
OTHER = pa.table({"id": pa.array([9]), "name": pa.array([False]), "size": pa.array(["z"])})
OTHER_ID = SINK_ID.__class__(*SINK_ID.lasting, OTHER_INCARNATION)
IN_ORDER = ("mariadb.prepared", "mariadb.staged", "mariadb.locked", *REBUILD_POINTS, *CRASH_POINTS[3:])


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    with opened(request, tmp_path) as made:
        yield made


def first(fence: int = 1) -> Epoch:
    return epoch(1, fence=fence, incarnation=OTHER_INCARNATION)


def contents(lab: Lab) -> list[tuple[object, ...]]:
    return sorted(lab.run("SELECT * FROM t"))


OLD_ROWS = [(1, "one"), (2, "two")]
NEW_ROWS = [(7, 1, "x"), (8, None, "y")]


# ---------------------------------------------------------------- deaths and rivals


@BOTH
def test_the_rebuilding_passes_exactly_these_points(lab: Lab) -> None:
    deliver(lab.sink("overwrite"), epoch(1), OLD)
    passed: list[str] = []
    receipt = deliver(lab.sink("overwrite", passed.append, refreshes=True), first(), NEW)
    assert tuple(passed) == IN_ORDER
    assert (receipt.rows, receipt.inserted, receipt.deleted) == (2, 2, 2)
    assert not lab.staging()


@MYSQL_AT_LENGTH
@pytest.mark.parametrize("point", IN_ORDER)
def test_a_rebuilding_that_dies_leaves_the_old_table_or_the_new_one(lab: Lab, point: str) -> None:
    deliver(lab.sink("overwrite"), epoch(1), OLD)
    dying = lab.sink("overwrite", crash_at(point), refreshes=True)
    with closing(dying), pytest.raises(CrashError):
        deliver(dying, first(), NEW)
    is_new = IN_ORDER.index(point) >= IN_ORDER.index("mariadb.swapped")
    assert contents(lab) == (NEW_ROWS if is_new else OLD_ROWS)
    again = lab.sink("overwrite", refreshes=True)
    marker = again.marker(OTHER_ID)
    assert (marker.epoch if marker else 0) == (point == "mariadb.committed")
    assert not lab.staging()
    deliver(again, first(2), NEW)
    assert contents(lab) == NEW_ROWS
    deliver(lab.sink(), epoch(2, fence=2, incarnation=OTHER_INCARNATION), OTHER)
    assert contents(lab) == [*NEW_ROWS, (9, 0, "z")]
    assert not lab.staging()


@MYSQL_AT_LENGTH
@pytest.mark.parametrize("point", ["mariadb.locked", "mariadb.built", "mariadb.swapped", "mariadb.written"])
def test_a_rebuilding_that_wakes_up_late_does_not_touch_what_the_next_run_wrote(lab: Lab, point: str) -> None:
    """A table's name changes whatever transaction is open: the marker's row holds nobody off, ending the session does."""
    deliver(lab.sink("overwrite"), epoch(1), OLD)

    def take_over(reached: str) -> None:
        if reached == point:
            with closing(lab.sink("overwrite", refreshes=True)) as newer:
                newer.marker(OTHER_ID)
                deliver(newer, first(2), NEW)
                deliver(lab.sink(), epoch(2, fence=2, incarnation=OTHER_INCARNATION), OTHER)

    late = lab.sink("overwrite", take_over, refreshes=True)
    error = refused(lambda: deliver(late, first(), NEW))
    assert isinstance(error, TransientError)
    assert contents(lab) == [*NEW_ROWS, (9, 0, "z")]
    assert refused(lambda: deliver(lab.sink("overwrite", refreshes=True), first(), NEW)).code == "SNK-120"
    assert contents(lab) == [*NEW_ROWS, (9, 0, "z")]


@BOTH
def test_a_rebuilding_that_begins_late_is_refused(lab: Lab) -> None:
    deliver(lab.sink("overwrite"), epoch(1), OLD)

    def take_over(reached: str) -> None:
        if reached == "mariadb.staged":
            deliver(lab.sink("overwrite", refreshes=True), first(2), NEW)

    error = refused(lambda: deliver(lab.sink("overwrite", take_over, refreshes=True), first(), OTHER))
    assert isinstance(error, FatalError)
    assert error.code == "SNK-120"
    assert contents(lab) == NEW_ROWS


@BOTH
def test_who_does_not_take_the_sink_over_waits_for_the_turn_to_commit(lab: Lab) -> None:
    deliver(lab.sink("overwrite"), epoch(1), OLD)
    codes: list[str] = []

    def rival(reached: str) -> None:
        if reached == "mariadb.built":
            other = lab.sink("overwrite", refreshes=True, connection={"url": lab.url, "lock_timeout": "1 s"})
            codes.append(refused(lambda: deliver(other, first(2), OTHER)).code)

    deliver(lab.sink("overwrite", rival, refreshes=True), first(), NEW)
    assert codes == ["SNK-235"]
    assert contents(lab) == NEW_ROWS


@BOTH
def test_a_table_that_is_read_back_has_another_state_before_its_rows_are_others(lab: Lab) -> None:
    """Who planned a read of the old rows does not get the new ones for them."""
    deliver(lab.sink("overwrite"), epoch(1), OLD)
    with closing(lab.sink("overwrite")) as plain, closing(plain.table()) as table:
        (part,) = table.partitions()
        before = table.latest(part)
        dying = lab.sink("overwrite", crash_at("mariadb.swapped"), refreshes=True)
        with closing(dying), pytest.raises(CrashError):
            deliver(dying, first(), NEW)
        assert table.latest(part) != before


# ---------------------------------------------------------------- what stays with the table


@BOTH
def test_what_the_table_is_made_of_stays_as_far_as_it_needs_no_column_that_goes(lab: Lab) -> None:
    lab.run(
        "CREATE TABLE t (number int AUTO_INCREMENT, id bigint, gone int, kept varchar(9) DEFAULT 'k', name varchar(20),"
        " doubled bigint AS (id * 2), PRIMARY KEY (number), UNIQUE KEY one (id), KEY two (gone, id), KEY three (name(3)))"
        " COMMENT 'of theirs'"
    )
    lab.run("INSERT INTO t (id, name) VALUES (1, 'a')")
    lab.run("CREATE VIEW v AS SELECT id, kept FROM t")
    fresh = pa.table({"id": pa.array([5]), "name": ["b"], "more": [1.5]})
    deliver(lab.sink("overwrite", refreshes=True), first(), fresh)
    assert lab.run("SELECT id, kept, name, doubled, more, number FROM t") == [(5, "k", "b", 10, 1.5, 1)]
    assert lab.run("SELECT * FROM v") == [(5, "k")]
    found = lab.run(
        "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 't'"
    )
    assert sorted(name for (name,) in found) == ["PRIMARY", "one", "three"]
    assert "of theirs" in lab.run("SHOW CREATE TABLE t")[0][1]


@BOTH
def test_keys_become_the_primary_key_where_the_old_one_goes(lab: Lab) -> None:
    deliver(lab.sink("merge"), epoch(1), OLD)
    fresh = pa.table({"code": pa.array([1, 2]), "name": ["a", "b"]})
    deliver(lab.sink("overwrite", refreshes=True, keys=["code"]), first(), fresh)
    assert "PRIMARY KEY (`code`)" in lab.run("SHOW CREATE TABLE t")[0][1]
    deliver(lab.sink("merge", keys=["code"]), epoch(2, incarnation=OTHER_INCARNATION), fresh.slice(1))
    assert sorted(lab.run("SELECT code, name FROM t")) == [(1, "a"), (2, "b")]


@BOTH
def test_a_key_that_becomes_text_is_a_key_again(lab: Lab) -> None:
    deliver(lab.sink("merge"), epoch(1), OLD)
    fresh = pa.table({"id": ["a", "b"], "name": ["a", "b"]})
    for number in (1, 2):
        sink = lab.sink("overwrite", refreshes=True, keys=["id"])
        deliver(sink, epoch(1, incarnation=f"{OTHER_INCARNATION}-{number}"), fresh)
    deliver(lab.sink("merge"), epoch(2, incarnation=f"{OTHER_INCARNATION}-2"), fresh.slice(1))
    assert lab.rows() == [("a", "a"), ("b", "b")]


def test_rights_stay_since_they_go_by_the_name(lab: Lab) -> None:
    deliver(lab.sink("overwrite"), epoch(1), OLD)
    user, database = lab.server.locked_user, lab.url.rpartition("/")[2]
    lab.run(f"GRANT SELECT ON {database}.t TO '{user}'@'%'")
    deliver(lab.sink("overwrite", refreshes=True), first(), NEW)
    given = lab.run(f"SHOW GRANTS FOR '{user}'@'%'")
    lab.run(f"REVOKE SELECT ON {database}.t FROM '{user}'@'%'")
    assert any(f"`{database}`.`t`" in line for (line,) in given)


# ---------------------------------------------------------------- what speaks against it


@BOTH
@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE TRIGGER watch BEFORE INSERT ON t FOR EACH ROW SET @seen = 1", 'the trigger "watch"'),
        (
            "CREATE TABLE child (t_id bigint, CONSTRAINT up FOREIGN KEY (t_id) REFERENCES t (id))",
            'the foreign key "up"',
        ),
        ("ALTER TABLE t ADD CONSTRAINT down FOREIGN KEY (id) REFERENCES parent (id)", 'the foreign key "down"'),
        ("CREATE VIEW v AS SELECT s.id, upper(s.name) AS loud FROM t AS s", 'v"'),
        ("ALTER TABLE t ADD KEY by_kind (kind)", 'the index "by_kind"'),
    ],
)
def test_what_would_be_lost_speaks_against_it(lab: Lab, made: str, named: str) -> None:
    lab.run("CREATE TABLE parent (id bigint PRIMARY KEY)")
    lab.run("CREATE TABLE t (id bigint PRIMARY KEY, name varchar(20), kind int)")
    lab.run(made)
    new = pa.table({"id": pa.array([7]), "name": pa.array([True]), "kind": ["x"]})
    sink = lab.sink("overwrite", refreshes=True)
    for act in (sink.preview, sink.prepare):
        error = refused(lambda act=act: act(from_arrow(new.schema)))  # type: ignore[misc]
        assert isinstance(error, ConfigError)
        assert error.code == "SNK-340"
        assert named in str(error)
    unlike = pa.table({"id": pa.array([7]), "name": ["x"], "kind": pa.array([1], pa.int32())})
    sink.preview(from_arrow(unlike.schema))  # the same columns: nothing is replaced


def test_a_history_speaks_against_it(lab: Lab) -> None:
    lab.run("CREATE TABLE t (id bigint, name varchar(20)) WITH SYSTEM VERSIONING")
    error = refused(lambda: lab.sink("overwrite", refreshes=True).preview(from_arrow(NEW.schema)))
    assert error.code == "SNK-340"
    assert "versioned" in str(error)


@pytest.fixture
def restricted(lab: Lab) -> Iterator[dict[str, object]]:
    """A connection of a user who may do in this database what a sink needs, and nothing elsewhere."""
    user, database = lab.server.locked_user, lab.url.rpartition("/")[2]
    needed = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX"
    lab.run(f"GRANT {needed} ON {database}.* TO '{user}'@'%'")
    yield {
        "host": "127.0.0.1",
        "port": lab.server.port,
        "database": database,
        "user": user,
        "password": lab.server.locked_password,
    }
    lab.run(f"REVOKE ALL ON {database}.* FROM '{user}'@'%'")


@BOTH
def test_triggers_that_cannot_be_seen_speak_against_it(lab: Lab, restricted: dict[str, object]) -> None:
    deliver(lab.sink("overwrite"), epoch(1), OLD)
    lab.run("CREATE TRIGGER watch BEFORE INSERT ON t FOR EACH ROW SET @seen = 1")
    sink = lab.sink("overwrite", refreshes=True, connection=restricted)
    seen = "SNK-341" if lab.server.installation.is_mysql else "SNK-340"  # MariaDB names them to everybody
    assert refused(lambda: sink.preview(from_arrow(NEW.schema))).code == seen
    user, database = lab.server.locked_user, lab.url.rpartition("/")[2]
    lab.run(f"GRANT TRIGGER ON {database}.t TO '{user}'@'%'")
    assert refused(lambda: sink.preview(from_arrow(NEW.schema))).code == "SNK-340"
    lab.run("DROP TRIGGER watch")
    deliver(sink, first(), NEW)
    lab.run(f"REVOKE TRIGGER ON {database}.t FROM '{user}'@'%'")
    assert contents(lab) == NEW_ROWS


@BOTH
def test_a_foreign_key_that_cannot_be_seen_brings_the_old_table_back(lab: Lab, restricted: dict[str, object]) -> None:
    lab.run("CREATE TABLE t (id bigint PRIMARY KEY, name varchar(20))")
    lab.run("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    user, database = lab.server.locked_user, lab.url.rpartition("/")[2]
    lab.run(f"GRANT TRIGGER ON {database}.t TO '{user}'@'%'")
    lab.run(f"CREATE DATABASE {database}_secret")
    lab.run(f"CREATE TABLE {database}_secret.child (t_id bigint, FOREIGN KEY (t_id) REFERENCES {database}.t (id))")
    try:
        with closing(lab.sink("overwrite", refreshes=True, connection=restricted)) as sink:
            error = refused(lambda: deliver(sink, first(), NEW))
            assert error.code == "SNK-340"
            assert contents(lab) == OLD_ROWS
            assert sink.marker(OTHER_ID) is None
        assert not lab.staging()
        assert f"REFERENCES `{database}`.`t`" in lab.run(f"SHOW CREATE TABLE {database}_secret.child")[0][1]
    finally:
        lab.run(f"DROP DATABASE {database}_secret")
        lab.run(f"REVOKE TRIGGER ON {database}.t FROM '{user}'@'%'")


@BOTH
def test_a_table_that_is_read_all_the_while_is_not_replaced(lab: Lab) -> None:
    deliver(lab.sink("overwrite"), epoch(1), OLD)
    lab.run("BEGIN")
    assert contents(lab) == OLD_ROWS
    impatient = lab.sink("overwrite", refreshes=True, connection={"url": lab.url, "lock_timeout": "1 s"})
    assert refused(lambda: deliver(impatient, first(), NEW)).code == "SNK-235"
    assert contents(lab) == OLD_ROWS
    lab.run("COMMIT")
    deliver(lab.sink("overwrite", refreshes=True), first(2), NEW)
    assert contents(lab) == NEW_ROWS
