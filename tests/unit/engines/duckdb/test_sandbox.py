"""No SQL text of a document reads what the pipeline does not declare: the compiler refuses it, and the session would."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import duckdb
import pytest
from passes import compiled, run

from penstock.engines.api import Limits
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.engines.duckdb.session import Session, typing_connection
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD: Final = """
pipeline: test
sources:
  a: {type: memory, schema: {columns: {k: int64?, v: string?, n: int64?}}}
  b: {type: memory, schema: {columns: {k: int64?, w: float64?}}}
transforms:
"""
SINK: Final = "sinks:\n  one: {from: x, type: memory}\n"
SMALL: Final = Limits(memory_bytes=1 << 28, threads=1)

# Every place of a document that takes SQL text, with `?` where a value stands.
PLACES: Final = {
    "sql step": "    from: a\n    steps: [{sql: !}]".replace("!", '"select ? as c from this"'),
    "sql": '    sql: "select ? as c from a"',
    "subquery of sql": '    sql: "select c from (with s as (select ? as c from a) select c from s) z"',
    "filter": '    from: a\n    steps: [{filter: "? is not null"}]',
    "derive": '    from: a\n    steps: [{derive: {m: "?"}}]',
    "join": '    from: a\n    steps: [{join: {to: b, kind: inner, "on": "this.k = b.k and ? = 1", add: [w]}}]',
    "measure": '    from: a\n    steps: [{aggregate: {by: [k], measures: {c: "max(?)"}}}]',
    "filter of a measure": '    from: a\n    steps: [{aggregate: {by: [k], measures: {c: "count(*) filter (? = 1)"}}}]',
    "group": '    from: a\n    steps: [{aggregate: {by: {g: "?"}, measures: {c: count(*)}}}]',
    "window": '    from: a\n    steps: [{window: {partition_by: [k], order_by: [n], columns: {r: "max(?)"}}}]',
    "sort": '    from: a\n    steps: [{sort: ["?"]}]',
    "deduplicate": '    from: a\n    steps: [{deduplicate: {keys: [k], order_by: ["?"]}}]',
}
TRIED: Final = [
    "getenv('HOME')",
    "read_text('/etc/passwd')",
    "(select content from read_text('/etc/passwd'))",
    "(select 1 from read_blob('../x'))",
    "(select 1 from '/etc/passwd')",
    "(select 1 from x.csv)",
    "(select count(*) from glob('/etc/*'))",
    "(select 1 from duckdb_secrets())",
    "(select 1 from pragma_version())",
    "(select 1 from information_schema.tables)",
    "(select 1 from query('select 1'))",
    "current_setting('temp_directory')",
    "system.main.getvariable('x')",
    "CURRENT_QUERY()",
    "write_log('x')",
    "vector_type('penstock:n0')",
    "setseed(0.5)",
    "sleep_ms(1)",
    "uuidv7()",
    "1 from a); attach '/tmp/x.db'; select (1",
    "(copy a to '/tmp/x')",
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBEngine]:
    made = DuckDBEngine(SMALL, tmp_path_factory.mktemp("engine"))
    yield made
    made.close()


@pytest.mark.parametrize("text", TRIED)
def test_the_compiler_refuses_it_in_every_place_that_takes_sql(text: str, engine: DuckDBEngine) -> None:
    for place, body in PLACES.items():
        value = body.replace("?", json.dumps(text)[1:-1])
        with pytest.raises(ConfigError) as caught:
            compiled(f"{HEAD}  x:\n{value}\n{SINK}", engine)
        assert caught.value.code.startswith("CMP-2"), place


@pytest.mark.parametrize(
    "statement",
    ["attach '/tmp/x.db'", "copy a to '/tmp/x'", "install httpfs", "load httpfs", "set threads = 9", "reset threads",
     "pragma version", "call pragma_version()", "create table x as select 1", "drop table a", "describe a",
     "summarize a", "explain select 1", "export database '/tmp'", "prepare p as select 1", "use memory",
     "select 1; select 2", "insert into a select * from b returning k", "select * into x from a"],
)  # fmt: skip
def test_the_compiler_takes_one_select_and_no_other_statement(statement: str, engine: DuckDBEngine) -> None:
    for body in ("    sql: ?", "    from: a\n    steps: [{sql: ?}]"):
        with pytest.raises(ConfigError):
            compiled(f"{HEAD}  x:\n{body.replace('?', json.dumps(statement))}\n{SINK}", engine)


# ---------------------------------------------------------------- the session alone


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that may be read, with links that lead out of it; beside it one that may not."""
    root = tmp_path_factory.mktemp("sandbox")
    (root / "project").mkdir()
    (root / "project" / "x.csv").write_text("a\n1\n")
    (root / "secret.csv").write_text("a\n1\n")
    (root / "project" / "link.csv").symlink_to(root / "secret.csv")
    (root / "project" / "folder").symlink_to(root)
    return root


@pytest.fixture(scope="module")
def session(project: Path) -> Iterator[Session]:
    made = Session(SMALL, project / "scratch", [project / "project"], ordered=False)
    yield made
    made.close()


def test_the_session_reads_what_it_may(session: Session, project: Path) -> None:
    assert session.connection.execute("from read_csv(?)", [str(project / "project" / "x.csv")]).fetchall() == [(1,)]


@pytest.mark.parametrize(
    "reader", ["read_csv", "read_text", "read_blob", "read_json", "read_parquet", "glob", "sniff_csv"]
)
@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "{root}/secret.csv", "{root}/project/../secret.csv", "{root}/project/link.csv",
     "{root}/project/folder/secret.csv", "{root}/*", "{root}/project/../*.csv", "/proc/self/environ", "/dev/fd/0",
     "http://127.0.0.1/x.csv", "s3://bucket/x.csv", "file:///etc/passwd"],
)  # fmt: skip
def test_the_session_reads_nothing_else(reader: str, path: str, session: Session, project: Path) -> None:
    if reader == "glob" and path.endswith("link.csv"):
        return  # the name of a link in the folder is no content
    with pytest.raises(duckdb.Error):
        session.connection.execute(f"from {reader}(?)", [path.format(root=project)])


@pytest.mark.parametrize(
    "statement",
    ["attach '{root}/x.db'", "copy (select 1) to '{root}/y.csv'", "copy (select 1) to '{root}/project/../y.csv'",
     "copy (select 1) to '{root}/project/folder/y.csv'", "export database '{root}/z'", "import database '{root}'",
     "install httpfs", "load httpfs", "load '{root}/x.duckdb_extension'", "force install httpfs",
     "set threads = 9", "set session threads = 9", "set global memory_limit = '9GB'", "reset threads",
     "set lock_configuration = false", "reset lock_configuration", "set enable_external_access = true",
     "set allowed_directories = ['/']", "set disabled_optimizers = ''", "set temp_directory = '/tmp'",
     "set profiling_output = '{root}/p'", "set log_query_path = '{root}/l'", "set file_search_path = '/'",
     "pragma enable_profiling = 'json'", "from duckdb_secrets()", "create secret s (type s3)",
     "create persistent secret s (type s3)", "select getenv('HOME')", "from '{root}/secret.csv'"],
)  # fmt: skip
def test_the_session_changes_nothing_and_writes_nowhere_else(statement: str, session: Session, project: Path) -> None:
    before = sorted(project.iterdir())
    with pytest.raises(duckdb.Error):
        session.connection.execute(statement.format(root=project))
    assert sorted(project.iterdir()) == before


def test_the_connection_that_types_reads_nothing_at_all(project: Path) -> None:
    with typing_connection() as con:
        for text in (f"from '{project}/project/x.csv'", "from read_text('/etc/passwd')", "set threads = 9"):
            with pytest.raises(duckdb.Error):
                con.execute(text)


def test_a_query_that_slipped_past_the_compiler_still_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.compile import query

    monkeypatch.setattr(query, "_HARMLESS", query._HARMLESS | {"read_text"})
    text = f"{HEAD}  x:\n    sql: \"select count(*) as c from a, read_text('/etc/passwd')\"\n{SINK}"
    with pytest.raises(ConfigError):
        run(text, {"a": [], "b": []}, tmp_path)
