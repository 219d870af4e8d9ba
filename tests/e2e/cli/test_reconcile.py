"""``penstock reconcile``: what is lost, doubled or changed in a target behind the pipeline's back is found and named, over
every kind of table, keys of any kind, and a source that has moved on.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from deltalake import DeltaTable, write_deltalake

from penstock.cli.app import execute
from penstock.errors import PenstockError
from penstock.service.comparing import Beside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said
    from penstock.testing.servers import PostgresServer

# Of a key: nothing, no number, both zeros, a text that is long, one of emoji, one with a comma and a line end.
ROWS = """
    select * from (values
        (1, null::double, 'a', 1.50::decimal(12,2), timestamptz '2024-01-01 00:00:00+02'),
        (2, 'nan'::double, '😀', null, null),
        (3, 0.0, '', 99999999.99, timestamptz '1969-12-31 23:59:59.999999+00'),
        (4, -1e308, 'x' || repeat('y', 3000), -0.01, null),
        (5, 1e308, 'b,"c"' || chr(10), 0, null),
        (6, 2.5, 'a', 7, timestamptz '2024-03-31 02:30:00+00'),
        (7, 2.5, 'b', 7, timestamptz '2024-03-31 02:30:00+00')
    ) rows(id, k, s, price, seen)
"""
DOCUMENT = """pipeline: rows
sources:
  raw: {{type: parquet, path: in.parquet}}
sinks:
  out: {{from: raw, {target}, mode: overwrite{more}}}
run: {{memory: 256 MiB, threads: 1}}
"""
SQLITE = "type: sqlite, path: out.db, table: t"
BY_ID = ", reconcile: {keys: [id], ranges: 4}"


def write(rows: str, path: str = "in.parquet") -> None:
    duckdb.connect().execute(f"copy ({rows}) to '{path}' (format parquet)")


def document(text: str) -> None:
    with open("pipelines/rows.yml", "w", encoding="utf-8") as file:  # noqa: PTH123 -- the current folder's
        file.write(text)


@pytest.fixture
def reconciled(penstock: Callable[..., Said]) -> Callable[..., dict[str, Any]]:
    """What the command says of its one sink; its exit code is 1 where anything differs, else 0."""

    def call(*more: str) -> dict[str, Any]:
        said = penstock("reconcile", "pipelines/rows.yml", *more, "--json")
        (found,) = said.json["sinks"]
        assert said.code == (0 if found["agrees"] else 1), said.err
        assert isinstance(found, dict)
        return found

    return call


def loaded(penstock: Callable[..., Said], target: str, more: str = BY_ID, rows: str = ROWS) -> Said:
    write(rows)
    document(DOCUMENT.format(target=target, more=more))
    said = penstock("run", "pipelines/rows.yml", "--json")
    assert said.code == 0, said.err
    return said


# ---------------------------------------------------------------- every kind of table


def in_sqlite() -> None:
    with sqlite3.connect("out.db") as database:
        database.execute("delete from t where id = 1")
        database.execute("insert into t select * from t where id = 3")
        database.execute("update t set price = '0.01', seen = null where id = 6")
        database.execute("insert into t(id, s) values (9, 'new')")
    database.close()


DAMAGE = (
    "delete from t where id = 1",
    "insert into t select * from t where id = 3",
    "update t set price = 0.01, seen = null where id = 6",
    "insert into t(id, s) values (9, 'new')",
)


def in_duckdb() -> None:
    with duckdb.connect("out.duckdb") as database:
        for statement in DAMAGE:
            database.execute(statement)


def in_delta() -> None:
    with duckdb.connect() as database:
        database.execute("set timezone = 'UTC'")
        database.register("held", DeltaTable("out").to_pyarrow_table())
        database.execute("create table t as from held")
        for statement in DAMAGE:
            database.execute(statement)
        write_deltalake("out", database.sql("from t").to_arrow_table(), mode="overwrite")


TARGETS = {
    "sqlite": (SQLITE, in_sqlite),
    "duckdb": ("type: duckdb, path: out.duckdb, table: t", in_duckdb),
    "delta": ("type: delta, path: out", in_delta),
}


def by_key(found: dict[str, Any]) -> dict[str, tuple[str, int, int, dict[str, Any]]]:
    return {
        one["key"]["id"]: (one["kind"], one["source_rows"], one["target_rows"], one["values"])
        for one in found["examples"]
    }


DAMAGED = {
    "1": ("missing", 1, 0, {}),
    "9": ("extra", 0, 1, {}),
    "3": ("repeated", 1, 2, {}),
}


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_lost_doubled_or_changed_is_named(
    name: str, penstock: Callable[..., Said], reconciled: Callable[..., dict[str, Any]]
) -> None:
    target, damage = TARGETS[name]
    said = loaded(penstock, target)
    assert [one["agrees"] for one in said.json["reconciled"]] == [True]
    assert reconciled()["agrees"]
    damage()
    found = reconciled()
    keys = by_key(found)
    kind, one, other, values = keys.pop("6")
    assert keys == DAMAGED
    assert (kind, one, other) == ("differing", 1, 1)
    assert values.keys() == {"price", "seen"}
    assert values["price"] == {"source": "7.00", "target": "0.01"}
    assert values["seen"]["target"] is None
    assert found["rows"] == {"source": 7, "target": 8}
    assert {kind: total["keys"] for kind, total in found["differences"].items()} == {
        "missing": 1, "extra": 1, "repeated": 1, "differing": 1,
    }  # fmt: skip


def test_a_folder_of_files(
    penstock: Callable[..., Said], reconciled: Callable[..., dict[str, Any]], project: Path
) -> None:
    """Rows that come or go change a file's size, by which its sink knows it; a value need not."""
    loaded(penstock, "type: parquet, path: out, compression: none", rows="select 1 as id, 'changes_here' as v")
    (file,) = (project / "out").glob("*.parquet")
    file.write_bytes(file.read_bytes().replace(b"changes_here", b"changed_here"))
    assert by_key(reconciled())["1"][3] == {"v": {"source": "changes_here", "target": "changed_here"}}
    file.write_bytes(b"")
    assert penstock("reconcile", "pipelines/rows.yml", "--json").codes == ["SRC-110"]


def test_a_table_of_postgres(
    penstock: Callable[..., Said],
    reconciled: Callable[..., dict[str, Any]],
    postgres_server: PostgresServer,
    postgres_database: str,
) -> None:
    import psycopg

    dsn = postgres_server.url(postgres_database)
    rows = f"""select *, '{{"b": 1, "a": [1.0, {{"y": null, "x": "\\u00e9"}}]}}'::json as j from ({ROWS})"""
    target = f"type: postgres, connection: '{dsn}', table: reconciled"
    loaded(penstock, target, ", reconcile: {keys: [id], columns: [k, s, price, seen, j]}", rows)
    assert reconciled()["agrees"]
    with psycopg.connect(dsn) as connection:
        connection.execute("delete from reconciled where id = 1")
        connection.execute("insert into reconciled select * from reconciled where id = 3")
        connection.execute("insert into reconciled(id, s) values (9, 'new')")
        connection.execute("""update reconciled set j = '{"b": 1, "a": [1.0, {"y": null, "x": "e"}]}' where id = 6""")
    keys = by_key(reconciled())
    kind, _, _, values = keys.pop("6")
    assert keys == DAMAGED
    assert (kind, values.keys()) == ("differing", {"j"})


# ---------------------------------------------------------------- keys


def test_keys_of_any_kind_tell_rows_apart(
    penstock: Callable[..., Said], reconciled: Callable[..., dict[str, Any]]
) -> None:
    loaded(penstock, SQLITE, ", reconcile: {keys: [k, s], ranges: 3}")
    found = reconciled("--all")
    assert found["agrees"]
    assert len(found["ranges"]) > 1
    with sqlite3.connect("out.db") as database:
        database.execute("update t set price = '0.00'")
    database.close()
    shown = [(one["key"]["k"], one["key"]["s"][:5]) for one in reconciled()["examples"]]
    assert shown == [
        ("-1e+308", "xyyyy"), ("0.0", ""), ("2.5", "a"), ("2.5", "b"), ("nan", "😀"), (None, "a"),
    ]  # fmt: skip


def test_rows_without_keys_are_compared_as_wholes(
    penstock: Callable[..., Said], reconciled: Callable[..., dict[str, Any]]
) -> None:
    loaded(penstock, SQLITE, ", reconcile: {}", "select 1 as a, 'x' as b from range(3) union all select 2, null")
    assert reconciled()["keys"] == []
    with sqlite3.connect("out.db") as database:
        database.execute("update t set b = 'y' where a = 2")
        database.execute("delete from t where rowid = (select min(rowid) from t where a = 1)")
    database.close()
    found = {one["kind"]: one for one in reconciled()["examples"]}
    assert found["missing"]["values"] == {"a": {"source": "2", "target": None}, "b": {"source": None, "target": None}}
    assert found["extra"]["values"]["b"] == {"source": None, "target": "y"}
    assert (found["repeated"]["source_rows"], found["repeated"]["target_rows"]) == (3, 2)


# ---------------------------------------------------------------- sources that move on

INCREMENTAL = """pipeline: rows
sources:
  raw: {type: sqlite, path: source.db, table: t, incremental: {cursor: [at, id]}}
sinks:
  out: {from: raw, type: sqlite, path: out.db, table: t, mode: merge, keys: [id], order_by: at, reconcile: {}}
run: {memory: 256 MiB, threads: 1}
"""


def source(*statements: str) -> None:
    with sqlite3.connect("source.db") as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def test_what_no_run_has_loaded_yet_is_newer_and_no_difference(
    penstock: Callable[..., Said], reconciled: Callable[..., dict[str, Any]]
) -> None:
    source("create table t(id integer, at integer, v text)", "insert into t values (1,1,'a'),(2,2,'b'),(3,3,'c')")
    document(INCREMENTAL)
    assert penstock("run", "pipelines/rows.yml").code == 0
    source("insert into t values (4,4,'d')", "update t set at = 5, v = 'B' where id = 2")
    found = reconciled()
    assert found["agrees"]
    assert found["differences"] == {"newer": {"keys": 1, "source_rows": 0, "target_rows": 1}}
    assert penstock("run", "pipelines/rows.yml").code == 0
    assert reconciled()["differences"] == {}
    source("delete from t where id = 1", "update t set v = 'C' where id = 3")  # behind the cursor's back
    assert {one["key"]["id"]: one["kind"] for one in reconciled()["examples"]} == {"1": "extra", "3": "differing"}


def test_the_newest_image_of_a_key_is_what_a_merge_should_hold(
    penstock: Callable[..., Said], reconciled: Callable[..., dict[str, Any]]
) -> None:
    source("create table t(id integer, at integer, v text)", "insert into t values (1,1,'a'),(1,2,'b')")
    document(INCREMENTAL)
    assert penstock("run", "pipelines/rows.yml").code == 0
    source("insert into t values (1,3,'c')")
    assert penstock("run", "pipelines/rows.yml").code == 0
    assert reconciled()["agrees"]


def test_files_are_read_up_to_where_they_were_loaded(
    penstock: Callable[..., Said], reconciled: Callable[..., dict[str, Any]], project: Path
) -> None:
    (project / "in").mkdir()
    write("select 1 as id", "in/1.parquet")
    document(
        "pipeline: rows\nsources: {raw: {type: parquet, path: 'in/*.parquet', incremental: files}}\n"
        "sinks: {out: {from: raw, type: sqlite, path: out.db, table: t, reconcile: {keys: [id]}}}\n"
    )
    assert penstock("run", "pipelines/rows.yml").code == 0
    write("select 2 as id", "in/2.parquet")
    assert reconciled()["rows"] == {"source": 1, "target": 1}
    (project / "in" / "1.parquet").unlink()
    assert penstock("reconcile", "pipelines/rows.yml", "--json").codes == ["RUN-197"]


# ---------------------------------------------------------------- against another node


def test_a_table_beside_another_node(penstock: Callable[..., Said], reconciled: Callable[..., dict[str, Any]]) -> None:
    """The transform loses what the source has."""
    write(ROWS)
    document(
        "pipeline: rows\nsources: {raw: {type: parquet, path: in.parquet}}\n"
        "transforms: {dear: {from: raw, steps: [{filter: price > 1}, {derive: {twice: price * 2}}]}}\n"
        f"sinks: {{out: {{from: dear, {SQLITE}, mode: merge, keys: [id], reconcile: {{against: raw}}}}}}\n"
    )
    said = penstock("run", "pipelines/rows.yml", "--json")
    assert said.code == 0
    assert [one["code"] for one in said.json["warnings"]] == ["RUN-194"]
    found = reconciled()
    assert (found["against"], found["left_out"]) == ("raw", {"twice": "in the table alone"})
    assert {one["key"]["id"] for one in found["examples"]} == {"2", "4", "5"}


# ---------------------------------------------------------------- what a run does, and what is hidden


def test_a_run_that_must_not_differ_fails_and_its_rows_stand(
    penstock: Callable[..., Said], reconciled: Callable[..., dict[str, Any]]
) -> None:
    source("create table t(id integer, at integer, v text)", "insert into t values (1,1,'a'),(2,2,'b')")
    document(INCREMENTAL.replace("reconcile: {}", "reconcile: {on_difference: fail}"))
    assert penstock("run", "pipelines/rows.yml").code == 0
    with sqlite3.connect("out.db") as database:
        database.execute("delete from t where id = 1")
    database.close()
    source("insert into t values (3,3,'c')")
    said = penstock("run", "pipelines/rows.yml", "--json")
    assert said.code == 1
    assert said.codes == ["RUN-195"]
    assert said.json["reconciled"][0]["differences"] == {"missing": 1}
    assert [epoch["epoch"] for epoch in said.json["epochs"]] == [2]
    assert not said.json["epochs"][0]["redone"]
    assert by_key(reconciled()) == {"1": ("missing", 1, 0, {})}
    assert penstock("run", "pipelines/rows.yml").code == 0  # nothing is new, so that nothing is compared


def test_a_comparison_that_fails_is_a_warning_of_the_run(
    penstock: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.service import reconciling

    def fails(*_: object) -> None:
        raise PenstockError.of(_problem())

    monkeypatch.setattr(reconciling, "reconcile_run", fails)
    said = loaded(penstock, SQLITE)
    assert [one["code"] for one in said.json["warnings"]] == ["RUN-196"]


def _problem() -> Any:
    from penstock.errors import Problem

    return (Problem("SRC-110", "it is gone"),)


def test_labelled_columns_show_no_values(
    penstock: Callable[..., Said], reconciled: Callable[..., dict[str, Any]]
) -> None:
    write("select 1 as id, 'ann@example.org' as email, 'x' as v union all select 2, 'bob@example.org', 'y'")
    document(
        "pipeline: rows\nsources: {raw: {type: parquet, path: in.parquet, labels: {email: [pii]}}}\n"
        f"sinks: {{out: {{from: raw, {SQLITE}, mode: overwrite, allow: [pii], reconcile: {{keys: [email], ranges: 2}}}}}}\n"
    )
    assert penstock("run", "pipelines/rows.yml").code == 0
    with sqlite3.connect("out.db") as database:
        database.execute("update t set email = 'eve@example.org', v = 'z' where id = 1")
        database.execute("update t set v = 'z' where id = 2")
    database.close()
    for shown in ((), ("--format", "markdown"), ("--json",)):
        said = penstock("reconcile", "pipelines/rows.yml", "--all", *shown)
        assert said.code == 1
        assert "@example" not in said.out + said.err
        assert "***" in said.out.replace("\\", "")
    assert "bob@example.org" in penstock("reconcile", "pipelines/rows.yml", "--allow", "pii").out


# ---------------------------------------------------------------- what cannot be compared


@pytest.mark.parametrize(
    ("sink", "code"),
    [
        ("type: excel, path: out.xlsx, mode: overwrite, reconcile: {}", "CMP-420"),
        ("type: sqlite, path: out.db, table: t, reconcile: {keys: [idd]}", "CMP-203"),
        ("type: sqlite, path: out.db, table: t, reconcile: {against: rw}", "CMP-201"),
        ("type: parquet, path: out, reconcile: {keys: [l]}", "CMP-422"),
        ("type: sqlite, path: out.db, table: t, reconcile: {keys: [id, id]}", "DOC-203"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_a_row_is_read(
    sink: str, code: str, penstock: Callable[..., Said]
) -> None:
    write("select 1 as id, [1] as l")
    document(
        f"pipeline: rows\nsources: {{raw: {{type: parquet, path: in.parquet}}}}\nsinks: {{out: {{from: raw, {sink}}}}}\n"
    )
    assert penstock("validate", "pipelines/rows.yml", "--json").codes == [code]


def test_a_table_of_epochs_is_refused(penstock: Callable[..., Said]) -> None:
    source("create table t(id integer, at integer, v text)")
    document(
        INCREMENTAL.replace("from: raw", "from: sums").replace(
            "sinks:",
            "transforms: {sums: {from: raw, scope: epoch, steps: [{aggregate: {by: [id], measures: {at: max(at)}}}]}}\nsinks:",
        )
    )
    assert penstock("validate", "pipelines/rows.yml", "--json").codes == ["CMP-421"]


def test_a_column_that_is_not_on_both_sides(penstock: Callable[..., Said]) -> None:
    loaded(penstock, SQLITE, "", "select 1 as id, 2 as v")
    with sqlite3.connect("out.db") as database:
        database.execute("alter table t drop column v")
    database.close()
    document(DOCUMENT.format(target=SQLITE, more=", reconcile: {keys: [id], columns: [v]}"))
    assert penstock("reconcile", "pipelines/rows.yml", "--json").codes == ["CMP-423"]


def test_before_the_first_run_there_is_nothing_to_compare(penstock: Callable[..., Said]) -> None:
    write(ROWS)
    document(DOCUMENT.format(target=SQLITE, more=BY_ID))
    assert penstock("reconcile", "pipelines/rows.yml", "--json").codes == ["RUN-190"]


def test_which_sinks_there_are_to_reconcile(penstock: Callable[..., Said]) -> None:
    loaded(penstock, SQLITE, "")
    assert penstock("reconcile", "pipelines/rows.yml", "--json").codes == ["CLI-180"]
    said = penstock("reconcile", "pipelines/rows.yml", "ot")
    assert 'did you mean "out"?' in said.err
    assert penstock("reconcile", "pipelines/rows.yml", "out").code == 0


@pytest.mark.parametrize(("fault", "code"), [("run.committed", "RUN-191")])
def test_an_epoch_that_is_not_finished_is_told(
    fault: str, code: str, penstock: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    source("create table t(id integer, at integer, v text)", "insert into t values (1,1,'a')")
    document(INCREMENTAL)
    assert penstock("run", "pipelines/rows.yml").code == 0
    source("insert into t values (2,2,'b')")
    monkeypatch.setenv("PENSTOCK_FAULTS", f"{fault}=raise")
    assert penstock("run", "pipelines/rows.yml").code != 0
    monkeypatch.delenv("PENSTOCK_FAULTS")
    (found,) = penstock("reconcile", "pipelines/rows.yml", "--json").json["sinks"]
    assert [one["code"] for one in found["warnings"]] == [code]
    assert found["agrees"]  # what it has more is newer


def test_in_the_midst_of_a_series_nothing_is_compared(
    penstock: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    source("create table t(id integer, at integer, v text)", "insert into t values (1,1,'a'),(2,2,'b'),(3,3,'c')")
    document(INCREMENTAL.replace("run: {", "run: {epoch: {rows: 1}, "))
    monkeypatch.setenv("PENSTOCK_FAULTS", "run.before_commit@2=raise")
    assert penstock("run", "pipelines/rows.yml").code != 0
    monkeypatch.delenv("PENSTOCK_FAULTS")
    assert penstock("reconcile", "pipelines/rows.yml", "--json").codes == ["RUN-192"]


def test_a_run_that_commits_meanwhile_is_told(penstock: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    source("create table t(id integer, at integer, v text)", "insert into t values (1,1,'a')")
    document(INCREMENTAL)
    assert penstock("run", "pipelines/rows.yml").code == 0
    ranges = Beside.ranges

    def after_a_run(beside: Beside, number: int) -> Any:
        monkeypatch.setattr(Beside, "ranges", ranges)
        source("insert into t values (2,2,'b')")
        assert execute(["run", "pipelines/rows.yml", "--quiet"]) == 0
        return ranges(beside, number)

    monkeypatch.setattr(Beside, "ranges", after_a_run)
    assert "RUN-193" in penstock("reconcile", "pipelines/rows.yml").err


def test_the_quality_report_tells_of_it(penstock: Callable[..., Said]) -> None:
    loaded(penstock, SQLITE)
    (found,) = penstock("quality", "pipelines/rows.yml", "--json").json["reconciled"]
    assert (found["sink"], found["agrees"], found["rows"]) == ("out", True, {"source": 7, "target": 7})
    for shown in ("text", "markdown", "html"):
        assert "out against raw: all 7 rows alike" in penstock("quality", "pipelines/rows.yml", "--format", shown).out


def test_a_refresh_is_compared_as_any_other_run(penstock: Callable[..., Said]) -> None:
    write(ROWS)
    document(DOCUMENT.format(target=SQLITE, more=BY_ID))
    assert penstock("run", "pipelines/rows.yml", "--json").json["reconciled"][0]["agrees"]
    said = penstock("run", "pipelines/rows.yml", "--full-refresh", "--json").json
    assert ([one["agrees"] for one in said["reconciled"]], said["warnings"]) == ([True], [])
