"""``penstock run``: what it prints, what it exits with, what is left of a run that failed."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

FILE = "pipelines/days.yml"
KEYS = {
    "sources",
    "news",
    "nothing_new",
    "reconciled",
    "stopped",
    "pipeline", "run_id", "kind", "status", "engine", "guarantee", "started_at", "duration_ms",
    "epochs", "balance", "rejects", "warnings", "problems",
}  # fmt: skip


def variant(project: Path, name: str, *changes: tuple[str, str]) -> str:
    """Another pipeline, made of the project's one by replacing texts."""
    text = (project / FILE).read_text(encoding="utf-8").replace("pipeline: days", f"pipeline: {name}")
    for old, new in (*changes, ("out/days.csv", f"out/{name}.csv")):
        text = text.replace(old, new)
    (project / "pipelines" / f"{name}.yml").write_text(text, encoding="utf-8")
    return f"pipelines/{name}.yml"


def test_a_run_shows_its_balance_and_what_it_rejected(penstock: Callable[..., Said], project: Path) -> None:
    said = penstock("run", FILE)
    assert (said.code, said.err) == (0, "")
    lines = [line.split() for line in said.out.splitlines()]
    assert ["raw", "4", "3", "1"] in lines
    assert ["dear.filter", "3", "2", "1"] in lines
    assert ["raw", "bad_value", "day", "1"] in lines
    assert "epoch 1 sealed" in said.out
    assert "the rows: penstock rejects show --run " in said.out
    assert (project / "out" / "days.csv").read_text(encoding="utf-8").count("\n") == 3


def test_a_run_without_sinks_is_refused(penstock: Callable[..., Said], project: Path) -> None:
    text = (project / FILE).read_text(encoding="utf-8")
    (project / FILE).write_text(text[: text.index("sinks:")], encoding="utf-8")
    said = penstock("run", FILE, "--json")
    assert (said.code, said.codes) == (2, ["CMP-233"])
    assert said.json["problems"][0]["severity"] == "error"
    for command in (["validate", FILE, "--json"], ["plan", FILE, "--json"]):
        said = penstock(*command)
        assert said.code == 0
        found = said.json.get("warnings", said.json.get("problems"))
        assert [(one["code"], one["severity"]) for one in found] == [("CMP-233", "warning")]
    assert penstock("preview", FILE, "dear").err == "1 of the rows read was rejected: 1 at raw\n"


def test_rows_without_a_partner_are_named_beside_the_balance(penstock: Callable[..., Said], project: Path) -> None:
    join = "      - join: {to: other, on: [day], add: [name]}\n      - derive"
    other = "  other: {type: csv, path: names.csv, schema: {columns: {day: date, name: string}}}\ntransforms:"
    (project / "names.csv").write_text("day,name\n2024-01-01,a\n2024-03-01,b\n2024-03-02,c\n", encoding="utf-8")
    said = penstock("run", variant(project, "joined", ("transforms:", other), ("      - derive", join)))
    assert said.code == 0, said.err
    assert "without a partner: 1 of dear in dear.join, 2 of other in dear.join\n" in said.out
    assert "2 of other in dear.join" in penstock("runs", "show").out


def test_the_balance_fits_80_columns(
    penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "a_transform_whose_name_is_longer_than_anybody_would_like_it"
    said = penstock("run", variant(project, "long", ("dear", name)))
    assert said.code == 0, said.err
    assert max(map(len, said.out.splitlines())) <= 80
    assert "…" not in said.out
    assert "deduplicated" in said.out
    assert ["3", "2", "1"] in [line.split()[-3:] for line in said.out.splitlines()]


def test_json_is_one_object_with_every_figure(penstock: Callable[..., Said]) -> None:
    said = penstock("run", FILE, "--json", "--param", "least=2")
    found = said.json
    assert (said.code, said.err) == (0, "")
    assert found.keys() == KEYS
    assert (found["pipeline"], found["status"], found["engine"]) == ("days", "done", "duckdb")
    [epoch] = found["epochs"]
    assert epoch["epoch"] == 1
    assert epoch["sinks"]["out"]["rows"] == 1
    assert {"rows", "bytes", "version"} <= epoch["sinks"]["out"].keys()
    assert found["balance"]["raw"] == {
        "kind": "read", "in": 4, "out": 3, "filtered": 0, "deduplicated": 0, "rejected": 1,
    }  # fmt: skip
    assert found["rejects"]["total"] == 1
    assert found["rejects"]["by_cause"] == [{"node": "raw", "cause": "bad_value", "column": "day", "rows": 1}]


def test_quiet_says_nothing_but_problems(penstock: Callable[..., Said]) -> None:
    assert penstock("run", FILE, "--quiet") == type(penstock("-q", "version"))(0, "", "")
    assert "DOC-100" in penstock("-q", "run", "nowhere.yml").err


@pytest.mark.parametrize(("stops", "code"), [("rejects", 1), ("rejects,warnings", 1), ("warnings", 0), ("", 0)])
def test_fail_on_decides_the_exit_code_of_a_run_that_is_done(
    penstock: Callable[..., Said], stops: str, code: int
) -> None:
    said = penstock("run", FILE, "--fail-on", stops, "--json")
    assert said.code == code
    assert said.json["status"] == "done"
    told = '"days" has rejects, on which it fails by --fail-on\n'
    assert said.err == (told if code else "")


def test_fail_on_knows_two_words(penstock: Callable[..., Said], project: Path) -> None:
    said = penstock("run", FILE, "--fail-on", "rejects,everything", "--json")
    assert (said.code, said.codes) == (2, ["CLI-102"])
    assert not (project / ".penstock").exists()


@pytest.mark.parametrize(
    ("param", "code"),
    [("least", "CLI-101"), ("=3", "CLI-101"), ("least=dear", "DOC-158"), ("leest=3", "DOC-159")],
)
def test_a_wrong_parameter_stops_before_anything_is_touched(
    penstock: Callable[..., Said], project: Path, param: str, code: str
) -> None:
    said = penstock("run", FILE, "--json", "-p", param)
    assert said.code == 2
    assert said.codes == [code]
    assert not (project / ".penstock").exists()


def test_a_run_that_fails_says_what_it_had_rejected(penstock: Callable[..., Said], project: Path) -> None:
    first = "sinks:\n  before: {from: raw, type: csv, path: out/before.csv, mode: overwrite}"
    fails = "price > 0 or error('no ' || day)::boolean"
    file = variant(project, "failing", ("price > ${param.least}", fails), ("sinks:", first))
    said = penstock("run", file)
    assert said.code == 1
    assert "ENG-312" in said.err
    assert f"--> {file}:" in said.err
    assert 'met in "dear.filter" or "dear.derive"' in said.err
    assert "failing  failed, nothing was sealed" in said.out
    assert "rejected before that" in said.out
    assert not (project / "out" / "failing.csv").exists()
    run_id = said.out.partition("--run ")[2].strip()
    shown = penstock("rejects", "show", "--run", run_id)
    assert "its epoch was not sealed" in shown.out
    assert penstock("rejects", "list", "--run", run_id, "--json").json["total"] == 1
    again = penstock("run", file, "--json").json
    assert again["rejects"] == {
        "total": 0,
        "by_cause": [],
        "aborted": {"total": 1, "by_cause": [{"node": "raw", "cause": "bad_value", "column": "day", "rows": 1}]},
    }
    assert again["problems"][0]["code"] == "ENG-312"


NOBODY = '"postgres://u@127.0.0.1:1/db?sslmode=disable"'  # listens there
NOTHING = {
    "engine": None, "guarantee": None, "epochs": [], "balance": {}, "warnings": [],
    "rejects": {"total": 0, "by_cause": [], "aborted": {"total": 0, "by_cause": []}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "problem", "exit_code"),
    [
        (("price * 2", "prise * 2"), "CMP-", 2),
        (("type: csv, path: out/days.csv,", f"type: postgres, connection: {NOBODY}, table: t,"), "SNK-", 3),
    ],
)
def test_a_run_that_cannot_begin_is_told_and_remembered_as_one_that_failed(
    penstock: Callable[..., Said], project: Path, change: tuple[str, str], problem: str, exit_code: int
) -> None:
    file = variant(project, "early", change)
    said = penstock("run", file, "--json")
    assert said.code == exit_code
    assert said.json.keys() == KEYS
    (remembered,) = penstock("runs", "list", "--json").json["runs"]
    assert (remembered["run_id"], remembered["status"]) == (said.json["run_id"], "failed")
    assert said.json.items() >= {**NOTHING, "pipeline": "early", "status": "failed"}.items()
    assert {code[:4] for code in said.codes} == {problem}
    shown = penstock("runs", "show")
    assert f"{said.codes[0]}: {said.json['problems'][0]['message']}" in shown.out
    told = penstock("run", file)
    assert "early  failed, nothing was sealed" in told.out
    assert f"error[{said.codes[0]}]" in told.err


def test_a_document_that_cannot_be_read_is_a_run_without_a_name(penstock: Callable[..., Said], project: Path) -> None:
    said = penstock("run", "nowhere.yml", "--json")
    assert said.json.keys() == KEYS
    assert said.json.items() >= {**NOTHING, "pipeline": None, "run_id": None, "status": "failed"}.items()
    assert (said.code, said.codes) == (2, ["DOC-100"])
    assert not (project / ".penstock").exists()
    assert penstock("run", "nowhere.yml").out == ""


def test_a_ledger_that_cannot_remember_hides_nothing(penstock: Callable[..., Said], project: Path) -> None:
    (project / ".penstock").mkdir()
    (project / ".penstock" / "ledger.db").write_bytes(b"no database" * 1000)
    said = penstock("run", FILE, "--json")
    assert (said.code, said.json.keys(), said.codes) == (4, KEYS, ["LED-101"])


@pytest.mark.parametrize("sink", ["type: csv, path: out/days", "type: sqlite, path: out.db, table: days"])
def test_what_a_damaged_ledger_hints_at_works(penstock: Callable[..., Said], project: Path, sink: str) -> None:
    file = variant(project, "kept", ("type: csv, path: out/days.csv, mode: overwrite", sink))
    assert penstock("run", file).code == 0
    ledger = project / ".penstock" / "ledger.db"
    ledger.write_bytes(b"no database" * 1000)
    (problem,) = penstock("run", file, "--json").json["problems"]
    assert f"remove it ({ledger}*), and run each pipeline of the project with --full-refresh" in problem["hint"]
    for path in ledger.parent.glob(f"{ledger.name}*"):
        path.unlink()
    assert penstock("run", file, "--json").codes == ["RUN-114"]
    assert penstock("run", file, "--full-refresh").code == 0
    assert penstock("run", file).code == 0


def test_a_run_that_is_interrupted_before_it_begins_is_remembered(
    penstock: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("penstock.service.running.opened", interrupted)
    said = penstock("run", FILE, "--json")
    assert (said.code, said.json.keys(), said.json["status"]) == (130, KEYS, "interrupted")
    assert penstock("runs", "list", "--json").json["runs"][0]["status"] == "interrupted"


def test_several_files_run_in_order_and_the_first_failure_ends_it(penstock: Callable[..., Said], project: Path) -> None:
    second = variant(project, "second")
    said = penstock("run", FILE, second, "missing.yml", FILE)
    assert said.code == 2
    assert "days  epoch 1 sealed" in said.out
    assert "second  epoch 1 sealed" in said.out
    assert "DOC-100" in said.err
    assert f'warning[CLI-105]: "{FILE}" was not run' in said.err
    found = penstock("run", FILE, "missing.yml", second, "--json")
    done, failed = found.json["runs"]
    assert (done["pipeline"], done["status"], failed["pipeline"], failed["status"]) == ("days", "done", None, "failed")
    assert (found.code, [problem["code"] for problem in failed["problems"]]) == (2, ["DOC-100"])
    assert f'"{second}" was not run' in found.err


def test_state_that_contradicts_the_sinks_stops_a_run(penstock: Callable[..., Said], project: Path) -> None:
    penstock("run", FILE)
    with sqlite3.connect(project / ".penstock" / "ledger.db") as ledger:
        ledger.execute("DELETE FROM epochs")
        ledger.execute("DELETE FROM sinks")
    ledger.close()
    said = penstock("run", FILE, "--json")
    assert said.code == 4
    assert said.json["problems"][0]["class"] == "FatalError"


def test_our_own_bug_is_told_as_one(penstock: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("penstock.service.running._epochs", broken)
    said = penstock("run", FILE, "--json")
    assert (said.code, said.codes) == (70, ["INT-901"])
    assert said.json["problems"][0]["detail"] == "ZeroDivisionError: by nothing."
    assert penstock("runs", "list", "--json").json["runs"][0]["status"] == "failed"
    monkeypatch.setenv("PENSTOCK_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        penstock("run", FILE)


def test_an_interrupted_run_is_130_and_says_where_it_stands(
    penstock: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("penstock.service.running.run_plan", interrupted)
    said = penstock("run", FILE, "pipelines/other.yml")
    assert said.code == 130
    assert "days  interrupted, nothing was sealed" in said.out
    assert "interrupted; the state is consistent\n" in said.err
    assert '"pipelines/other.yml" was not run' in said.err
    found = penstock("run", FILE, "--json")
    assert (found.code, found.json["status"]) == (130, "interrupted")
    monkeypatch.setattr("penstock.service.inspecting.opened", interrupted)
    found = penstock("plan", FILE, "--json")
    assert (found.code, found.json) == (130, {"ok": False, "status": "interrupted", "problems": []})


def test_a_full_refresh_replaces_and_begins_anew(penstock: Callable[..., Said]) -> None:
    penstock("run", FILE)
    said = penstock("run", FILE, "--full-refresh", "--json")
    assert said.code == 0
    assert said.json["epochs"][0]["epoch"] == 1


def test_log_lines_go_to_stderr_in_both_forms(penstock: Callable[..., Said]) -> None:
    import json

    text = penstock("run", FILE, "--json", "--log-level", "info")
    assert text.json["status"] == "done"
    assert "[info] run_started pipeline=days" in text.err
    lines = [
        json.loads(line) for line in penstock("run", FILE, "--log-format=json", "--log-level=info").err.splitlines()
    ]
    assert [line["event"] for line in lines] == [
        "run_started", "epoch_planned", "pass_started", "pass_done", "sink_committed", "epoch_sealed", "run_ended",
    ]  # fmt: skip
    assert {"level", "timestamp", "event", "pipeline", "run_id", "plan_hash"} == lines[0].keys()


@pytest.mark.parametrize("kind", ["csv", "parquet", "sqlite"])
def test_a_file_that_breaks_off_in_the_middle_is_told_at_its_path(
    penstock: Callable[..., Said], project: Path, kind: str
) -> None:
    path = project / ("rows.csv.gz" if kind == "csv" else f"rows.{kind}")
    match kind:
        case "csv":
            lines = "".join(f"{n}\n" for n in range(500_000))
            path.write_bytes(gzip.compress(f"n\n{lines}".encode()))
        case "parquet":
            pq.write_table(pa.table({"n": range(100_000)}), path)
        case _:
            with closing(sqlite3.connect(path)) as database:
                database.execute("create table t (n integer)")
                database.executemany("insert into t values (?)", ((n,) for n in range(50_000)))
                database.commit()
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        content[:middle] if kind == "csv" else content[:middle] + b"\xff" * 9_000 + content[middle + 9_000 :]
    )
    table = ", table: t" if kind == "sqlite" else ""
    (project / "broken.yml").write_text(
        "pipeline: broken\n"
        f"sources: {{raw: {{type: {kind}, path: {path.name}{table}, schema: {{columns: {{n: 'int64?'}}}}}}}}\n"
        "sinks: {out: {from: raw, type: csv, path: out, mode: overwrite}}\n",
        encoding="utf-8",
    )
    (problem,) = penstock("run", "broken.yml", "--json").json["problems"]
    assert (problem["line"], problem["column"]) == (2, len(f"sources: {{raw: {{type: {kind}, path: ") + 1)


EMPTY = """pipeline: {kind}
sources:
  raw: {{type: {kind}, path: {path}, schema: {{columns: {{id: int64, price: "float64?"}}}}}}
sinks:
  out: {{from: raw, type: parquet, path: out/{kind}.parquet, mode: overwrite}}
"""


def test_an_empty_element_of_xml_is_null_as_an_empty_field_of_csv_is(
    penstock: Callable[..., Said], project: Path
) -> None:
    (project / "a.csv").write_text("id,price\n1,\n,2.5\n3,0.5\n", encoding="utf-8")
    records = "<r><id>1</id><price></price></r><r><id/><price>2.5</price></r><r><id>3</id><price>0.5</price></r>"
    (project / "a.xml").write_text(f"<a>{records}</a>", encoding="utf-8")
    for kind, path in (("csv", "a.csv"), ("xml", "a.xml, rows: /a/r")):
        (project / "empty.yml").write_text(EMPTY.format(kind=kind, path=path), encoding="utf-8")
        found = penstock("run", "empty.yml", "--json").json
        by_cause = [(one["cause"], one["column"], one["rows"]) for one in found["rejects"]["by_cause"]]
        assert by_cause == [("null_value", "id", 1)], kind
        rows = pq.read_table(project / "out" / f"{kind}.parquet").to_pylist()
        assert rows == [{"id": 1, "price": None}, {"id": 3, "price": 0.5}], kind


def test_a_project_may_lie_in_a_folder_that_is_named_like_a_pattern(
    penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = project.rename(project.with_name("a [1] *?"))
    monkeypatch.chdir(odd)
    said = penstock("run", FILE)
    assert (said.code, said.err) == (0, "")
    assert (odd / "out" / "days.csv").read_text(encoding="utf-8").count("\n") == 3
