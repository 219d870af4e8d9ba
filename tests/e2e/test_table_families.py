"""``tables:`` against a real PostgreSQL, by the command line: hostile names, one table that fails, keys, folders."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow.parquet as pq
import pytest

from penstock.cli.app import execute

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server

SET_UP = """
CREATE SCHEMA sales;
CREATE TABLE sales.orders (id int, line int, what text, PRIMARY KEY (line, id));
INSERT INTO sales.orders VALUES (1, 1, 'one'), (1, 2, 'two');
CREATE TABLE sales."a""; DROP TABLE x;--" (id int PRIMARY KEY, note text);
INSERT INTO sales."a""; DROP TABLE x;--" VALUES (7, 'seven');
CREATE TABLE sales."../we.ird" (id int PRIMARY KEY);
INSERT INTO sales."../we.ird" SELECT generate_series(1, 3);
"""
BROKEN = "CREATE VIEW sales.broken AS SELECT id, 1 / (id - id) AS never FROM sales.orders"
DOCUMENT = """pipeline: shop
sources:
  crm:
    type: postgres
    connection: %(url)s
    tables: [{name: sales.orders, priority: 9}, {name: sales.broken, keys: [id], priority: 5}, "sales.*"]
    on_table_error: %(on_error)s
sinks:
  copy: {from: crm, type: postgres, connection: %(target)s, table: "{table}", mode: merge}
  lake: {from: crm, type: parquet, path: "lake/{table}", mode: overwrite}
run: {memory: 256 MiB, threads: 1}
"""


@pytest.fixture
def target(postgres_server: PostgresServer, postgres_database: str) -> str:
    """Another database of that server, with the schema that the copies go to."""
    name = f"{postgres_database}_copy"
    postgres_server.sql(f"CREATE DATABASE {name}")
    postgres_server.sql("CREATE SCHEMA sales", database=name)
    return name


class Shop:
    """A project with the document, and the command line in its folder."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str], url: str, target: str) -> None:
        self.root, self._capsys, self._urls = root, capsys, {"url": url, "target": target}
        (root / "penstock.yml").write_text("project: small\n", encoding="utf-8")
        self.write("continue")

    def write(self, on_error: str) -> None:
        text = DOCUMENT % (self._urls | {"on_error": on_error})
        (self.root / "shop.yml").write_text(text, encoding="utf-8")

    def call(self, *arguments: str) -> tuple[int, Any]:
        self._capsys.readouterr()
        code = execute([*arguments, "--json"])
        return code, json.loads(self._capsys.readouterr().out)

    def show(self, *arguments: str) -> tuple[int, str]:
        self._capsys.readouterr()
        code = execute(list(arguments))
        said = self._capsys.readouterr()
        return code, said.out + said.err


@pytest.fixture(autouse=True)
def _in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shop(
    tmp_path: Path,
    postgres_server: PostgresServer,
    postgres_database: str,
    target: str,
    capsys: pytest.CaptureFixture[str],
) -> Shop:
    with psycopg.connect(postgres_server.url(postgres_database)) as connection:
        connection.execute(SET_UP)
        connection.execute(BROKEN)
    return Shop(tmp_path, capsys, postgres_server.url(postgres_database), postgres_server.url(target))


def rows(url: str, table: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(f"SELECT * FROM sales.{table} ORDER BY 1, 2").fetchall()  # type: ignore[arg-type]


def statuses(found: Any) -> dict[str, str]:
    return {one["pipeline"]: one["status"] for one in found["members"]}


def test_every_table_has_its_own_copy_status_and_ranges(
    shop: Shop, postgres_server: PostgresServer, postgres_database: str, target: str
) -> None:
    code, first = shop.call("run", "shop.yml")
    assert code != 0
    assert (first["status"], first["not_run"]) == ("failed", [])
    assert list(statuses(first).values()) == ["done", "failed", "done", "done"]
    assert next(iter(statuses(first))) == "shop/crm.sales.orders"
    url = postgres_server.url(target)
    assert rows(url, "orders") == [(1, 1, "one"), (1, 2, "two")]
    with psycopg.connect(url) as connection:
        assert connection.execute('SELECT * FROM sales."a""; DROP TABLE x;--"').fetchall() == [(7, "seven")]
    folders = sorted(path.name for path in (shop.root / "lake" / "sales").iterdir())
    assert "orders" in folders
    assert len(folders) in {3, 4}  # the one that failed may have begun its own
    assert pq.read_table(shop.root / "lake" / "sales" / "orders").num_rows == 2
    assert not (shop.root / "we.ird").exists()

    # The second run goes on by itself: keys of the primary key merge, other tables' epochs stay as they are.
    with psycopg.connect(postgres_server.url(postgres_database)) as connection:
        connection.execute("UPDATE sales.orders SET what = 'new' WHERE line = 2")
        connection.execute("DROP VIEW sales.broken; CREATE TABLE sales.broken (id int, never int)")
        connection.execute("INSERT INTO sales.broken VALUES (5, 5)")
    code, second = shop.call("run", "shop.yml")
    assert [one["problems"] for one in second["members"]] == [[]] * 4
    assert (code, second["status"]) == (0, "done")
    epochs = {one["pipeline"]: [epoch["epoch"] for epoch in one["epochs"]] for one in second["members"]}
    assert epochs["shop/crm.sales.orders"] == [2]
    assert rows(url, "orders") == [(1, 1, "one"), (1, 2, "new")]
    merged = second["members"][0]["epochs"][0]["sinks"]["copy"]
    assert (merged["inserted"], merged["updated"], merged["unchanged"]) == (0, 1, 1)


def test_a_table_that_fails_stops_the_later_ones_where_that_is_said(shop: Shop) -> None:
    shop.write("stop")
    code, found = shop.call("run", "shop.yml")
    assert code != 0
    assert list(statuses(found).values()) == ["done", "failed"]
    assert len(found["not_run"]) == 2
    assert not any("we" in path.name for path in (shop.root / "lake" / "sales").iterdir())


def test_people_are_shown_each_table(shop: Shop) -> None:
    code, text = shop.show("run", "shop.yml")
    assert code != 0
    lines = {
        line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith(("shop/", "4 pipelines"))
    }
    assert list(lines)[:2] == ["shop/crm.sales.broken", "shop/crm.sales.orders"]
    assert lines["shop/crm.sales.broken"][0] == "failed"
    assert lines["shop/crm.sales.orders"][:3] == ["done", "2", "4"]  # two sinks
    assert lines["4"][:5] == ["pipelines", "1", "failed,", "3", "done"]
    code, text = shop.show("runs", "list")
    assert code == 0
    assert "shop/crm.sales.orders" in text
    code, text = shop.show("plan", "shop.yml")
    assert code == 0
    assert text.count("shop/crm.sales.") >= 4
    assert "snapshot" not in text  # how the server writes down where it stands
    assert shop.show("preview", "shop.yml", "crm.sales.orders")[0] == 0
    assert shop.show("lineage", "shop.yml")[0] == 0
    assert shop.show("validate", "shop.yml")[0] == 0
    assert shop.show("validate", "shop.yml", "--connect")[0] == 0


def test_tables_go_to_a_schema_of_the_sink(shop: Shop, postgres_server: PostgresServer, target: str) -> None:
    postgres_server.sql("CREATE SCHEMA archive", database=target)
    file = shop.root / "shop.yml"
    text = file.read_text(encoding="utf-8").replace('table: "{table}"', 'table: "archive.{table}"')
    file.write_text(text, encoding="utf-8")
    _, found = shop.call("run", "shop.yml")
    assert list(statuses(found).values()) == ["done", "failed", "done", "done"]
    with psycopg.connect(postgres_server.url(target)) as connection:
        assert connection.execute("SELECT count(*) FROM archive.orders").fetchall() == [(2,)]
        assert connection.execute('SELECT * FROM archive."a""; DROP TABLE x;--"').fetchall() == [(7, "seven")]
        assert connection.execute('SELECT count(*) FROM archive."../we.ird"').fetchall() == [(3,)]


def test_rejects_of_a_table_are_sent_again_by_the_name_of_its_pipeline(
    shop: Shop, postgres_server: PostgresServer, postgres_database: str
) -> None:
    with psycopg.connect(postgres_server.url(postgres_database)) as connection:
        connection.execute("CREATE SCHEMA days; CREATE TABLE days.one (id int, at timestamp)")
        connection.execute("INSERT INTO days.one VALUES (1, '2026-01-01'), (2, 'infinity')")
    (shop.root / "days.yml").write_text(
        "pipeline: days\n"
        f'sources: {{db: {{type: postgres, connection: "{postgres_server.url(postgres_database)}", tables: ["days.*"]}}}}\n'
        'sinks: {out: {from: db, type: sqlite, path: out.db, table: "{table}", mode: append}}\n',
        encoding="utf-8",
    )
    assert shop.call("run", "days.yml")[0] == 0
    (rejected,) = shop.call("rejects", "list", "--pipeline", "days")[1]["by_cause"]
    asked = ("days.yml", rejected["group"], "--pipeline", "days", "--set", "at = '2026-01-02'")
    code, sent = shop.call("rejects", "replay", *asked)
    assert (code, sent["replay"]["rows"], sent["replay"]["rejected"]) == (0, 1, 0)
