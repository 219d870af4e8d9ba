"""``validate``, ``plan``, ``preview``, ``lineage``: in every form they have."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

pytestmark = pytest.mark.slow

FILE = "pipelines/days.yml"


# ---------------------------------------------------------------- validate


def test_a_valid_document_is_ok(penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert penstock("validate", FILE).out == f"{FILE}: ok\n"
    assert penstock("validate", FILE, "--json").json == {"ok": True, "problems": []}
    assert penstock("validate").out == f"{FILE}: ok\n"
    monkeypatch.chdir(project / "data")
    assert penstock("validate").out == f"{project / FILE}: ok\n"
    assert not (project / ".penstock").exists()


@pytest.mark.parametrize("asked", ["days", "days.yml", "pipelines/day.yml"])
def test_a_pipeline_that_is_asked_for_by_its_name_gets_its_file(penstock: Callable[..., Said], asked: str) -> None:
    (problem,) = penstock("plan", asked, "--json").json["problems"]
    assert (problem["code"], problem["hint"]) == ("DOC-100", f'did you mean "{FILE}"?')


def test_all_errors_of_all_documents_are_told_at_once(penstock: Callable[..., Said], project: Path) -> None:
    wrong = (project / FILE).read_text(encoding="utf-8")
    wrong = wrong.replace("type: csv, path: out", "typ: csv, path: out").replace("price * 2", "prise * 2")
    (project / "wrong.yml").write_text(wrong.replace("doubled:", "doubled: 1, Doubled:"), encoding="utf-8")
    (project / "worse.yml").write_text("pipeline: Worse!\nsource: {}\n", encoding="utf-8")
    said = penstock("validate", "wrong.yml", FILE, "worse.yml", "--json")
    assert said.code == 2
    assert said.json["ok"] is False
    assert {problem["file"] for problem in said.json["problems"]} == {"wrong.yml", "worse.yml"}
    for problem in said.json["problems"]:
        assert problem.keys() == {"code", "class", "severity", "message", "file", "line", "column", "detail", "hint"}
        assert problem["line"] > 0
        assert problem["column"] > 0
    said = penstock("validate", "wrong.yml", FILE, "worse.yml")
    assert said.out == f"{FILE}: ok\n"
    assert said.err.count("error[") == len(penstock("validate", "wrong.yml", "worse.yml", "--json").json["problems"])
    assert "  --> worse.yml:2:1\n2 | source: {}\n  | ^^^^^^\n" in said.err
    assert 'hint: did you mean "sources"?\n' in said.err


def test_warnings_are_told_and_do_not_fail(penstock: Callable[..., Said], project: Path) -> None:
    text = (project / FILE).read_text(encoding="utf-8").replace("pipeline: days", "pipeline: unused") + "  \n"
    unused = text.replace("sinks:", "  idle: {from: raw, steps: [{filter: price > 1}]}\nsinks:")
    (project / "unused.yml").write_text(unused, encoding="utf-8")
    said = penstock("validate", "unused.yml")
    assert said.code == 0
    assert "warning[" in said.err
    assert '"idle"' in said.err


def test_every_value_in_force_has_its_origin_and_no_secret_is_shown(
    penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_SECRET_SHOP", "hunter2secret")
    (project / "penstock.yml").write_text(
        "project: small\n"
        "connections:\n"
        "  shop: {type: rest, base_url: 'https://example.com', auth: {type: bearer, token: '${secret.SHOP}'}}\n"
        "run: {memory: 1 GiB}\n"
        "environments: {prod: {run: {memory: 2 GiB}}}\n",
        encoding="utf-8",
    )
    text = (project / FILE).read_text(encoding="utf-8").replace("memory: 256 MiB, ", "")
    listing = "  shop: {type: rest, connection: shop, path: /a, schema: {columns: {a: string?}}}\ntransforms:"
    (project / FILE).write_text(text.replace("transforms:", listing), encoding="utf-8")
    said = penstock("validate", FILE, "--show-merged", "--env", "prod", "--param", "least=7")
    assert said.code == 0, said.err
    assert 'run.memory = "2 GiB"  (penstock.yml:5:' in said.out
    assert "environment prod)" in said.out
    assert "params.least = 7  (--param)" in said.out
    assert "connections.shop.auth.token = ***" in said.out
    found = penstock("validate", FILE, "--show-merged", "--json")
    assert {"path": "sources.raw.type", "value": '"csv"', "origin": f"{FILE}:5:15"} in found.json["values"][FILE]
    assert "hunter2secret" not in said.out + said.err + found.out + found.err


@pytest.mark.parametrize("command", [("validate", "--connect"), ("plan",), ("run",)])
def test_what_is_wrong_with_one_system_hides_nothing_of_another(
    penstock: Callable[..., Said], project: Path, command: tuple[str, ...]
) -> None:
    for name in ("a", "b"):
        (project / f"{name}.parquet").write_text("no table", encoding="utf-8")
    text = (project / FILE).read_text(encoding="utf-8")
    broken = "  a: {type: parquet, path: a.parquet}\n  b: {type: parquet, path: b.parquet}\ntransforms:"
    (project / FILE).write_text(text.replace("transforms:", broken), encoding="utf-8")
    said = penstock(*command, FILE, "--json")
    assert [(problem["class"], problem["line"]) for problem in said.json["problems"]] == [
        ("DataError", 6),
        ("DataError", 7),
    ]
    assert said.code == 1
    (project / "data" / "days.csv").unlink()
    (project / FILE).write_text(text.replace("transforms:", broken).replace("price * 2", "prise * 2"), encoding="utf-8")
    said = penstock(*command, FILE, "--json")
    assert {problem["class"] for problem in said.json["problems"]} == {"DataError", "ConfigError"}
    assert said.code == 2


def test_an_unknown_environment_is_a_problem(penstock: Callable[..., Said]) -> None:
    said = penstock("validate", FILE, "--env", "prodd", "--json")
    assert said.code == 2
    assert len(said.codes) == 1


def test_a_project_without_a_pipeline_is_a_problem(penstock: Callable[..., Said], project: Path) -> None:
    (project / FILE).unlink()
    assert penstock("validate", "--json").codes == ["CLI-103"]


@pytest.mark.parametrize("command", ["validate", "plan", "run", "lineage"])
@pytest.mark.parametrize("file", ["missing.yml", "data", "binary.yml", "empty.yml", "nul.yml", "", "a" * 5_000])
def test_a_file_that_is_no_document_is_one_clear_problem(
    penstock: Callable[..., Said], project: Path, command: str, file: str
) -> None:
    (project / "binary.yml").write_bytes(bytes(range(128, 256)) * 10)
    (project / "empty.yml").write_bytes(b"")
    (project / "nul.yml").write_bytes(b"pipeline: a\x00b\n")
    said = penstock(command, file, "--json")
    assert said.code == 2
    assert all(code.startswith("DOC-") for code in said.codes)
    assert "\x00" not in said.err


# ---------------------------------------------------------------- plan


def test_a_plan_is_read_at_a_glance(penstock: Callable[..., Said], project: Path) -> None:
    said = penstock("plan", FILE)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].startswith("days  plan ")
    assert lines[1].startswith("exactly once: ")
    assert "raw (2 of 2 columns" not in said.out
    assert "commit" in said.out
    assert len(lines) <= 8
    assert all(line == line.rstrip() for line in lines)
    assert not (project / "out").exists()
    assert not (project / ".penstock").exists()


def test_a_plan_as_json_has_what_the_specification_says(penstock: Callable[..., Said]) -> None:
    found = penstock("plan", FILE, "--json").json
    assert {"pipeline", "plan_hash", "guarantee", "stages", "nodes", "sinks"} <= found.keys()
    assert found["guarantee"].keys() == {"asked", "given", "because"}
    assert [stage["stage"] for stage in found["stages"]] == ["pass", "commit", "seal", "acknowledge"]
    for node in found["nodes"].values():
        assert node["sql"].keys() == {"duckdb", "spark"}
        for column in node["columns"]:
            assert column.keys() == {"name", "type", "nullable", "labels"}
    assert found["nodes"]["out"]["columns"][0] == {"name": "day", "type": "date", "nullable": False, "labels": []}
    assert found["sinks"]["out"].keys() == {"type", "mode", "action", "place"}
    assert found["plan_hash"] == penstock("plan", FILE, "--json").json["plan_hash"]


def test_a_plan_with_sql_shows_each_statement_for_both_engines(penstock: Callable[..., Said]) -> None:
    said = penstock("plan", FILE, "--sql")
    assert "dear.filter  filter" in said.out
    assert said.out.count("    duckdb") + said.out.count("  duckdb") >= 4
    assert "SELECT" in said.out


def test_a_plan_prints_no_statement_that_spark_does_not_have(penstock: Callable[..., Said], project: Path) -> None:
    nearest = 'join: {to: raw, as: near, kind: asof, on: "this.day >= near.day", add: {then: price}}'
    text = (project / FILE).read_text(encoding="utf-8").replace("      - derive", f"      - {nearest}\n      - derive")
    (project / FILE).write_text(text, encoding="utf-8")
    nodes = penstock("plan", FILE, "--json").json["nodes"]
    assert "ASOF" in nodes["dear.join"]["sql"]["duckdb"]
    assert nodes["dear.join"]["sql"]["spark"] == "-- Spark SQL has no ASOF JOIN: this node has no direct form there"
    assert nodes["dear.derive"]["sql"]["spark"].startswith("SELECT")


def test_what_others_call_a_key_is_told_by_its_own_name(penstock: Callable[..., Said], project: Path) -> None:
    text = (project / FILE).read_text(encoding="utf-8").replace("type: csv,", "type: csv, Separator: ';',")
    (project / FILE).write_text(text, encoding="utf-8")
    problems = penstock("validate", FILE, "--json").json["problems"]
    assert {(one["code"], one["hint"]) for one in problems} == {("DOC-201", 'did you mean "delimiter"?')}


def test_a_plan_says_what_is_new(penstock: Callable[..., Said], project: Path) -> None:
    penstock("run", FILE, "-q")
    assert "new:" not in penstock("plan", FILE).out
    text = (project / FILE).read_text(encoding="utf-8")
    (project / FILE).write_text(text.replace("price * 2", "price * 3"), encoding="utf-8")
    assert "new: the pipeline has changed since its last run" in penstock("plan", FILE).out


def test_a_plan_says_what_would_be_read(penstock: Callable[..., Said], project: Path) -> None:
    (project / "data" / "more.csv").write_text("day,price\n2024-02-01,1\n", encoding="utf-8")
    assert "raw (2 files)  ->  out" in penstock("plan", FILE).out
    (reach,) = penstock("plan", FILE, "--json").json["ranges"]
    assert (reach["source"], reach["after"]) == ("raw", None)
    assert [file["path"] for file in reach["upto"]["files"]] == ["days.csv", "more.csv"]
    ran = penstock("run", FILE, "--json").json["epochs"][0]["ranges"]
    assert ran == [reach]


def test_the_last_epoch_is_the_newest_that_was_sealed(penstock: Callable[..., Said], project: Path) -> None:
    assert penstock("plan", FILE, "--json").json["last_epoch"] is None
    penstock("run", FILE, "-q")
    (project / "data" / "days.csv").write_text("other\n1\n", encoding="utf-8")
    assert penstock("run", FILE, "-q").code != 0
    (project / "data" / "days.csv").write_text("day,price\n2024-01-01,2\n", encoding="utf-8")
    found = penstock("plan", FILE, "--json").json
    assert (found["last_epoch"], found["news"]) == (1, [])


@pytest.mark.parametrize("contract", ['schema: {columns: {day: date, price: "decimal(10,2)?"}}, ', ""])
def test_columns_that_nobody_asked_for_do_not_change_the_pipeline(
    penstock: Callable[..., Said], project: Path, contract: str
) -> None:
    text = (project / FILE).read_text(encoding="utf-8")
    text = text.replace(', schema: {columns: {day: date, price: "decimal(10,2)?"}}', contract and f", {contract[:-2]}")
    (project / FILE).write_text(text, encoding="utf-8")
    (project / "data" / "days.csv").write_text("day,price\n2024-01-01,2\n", encoding="utf-8")
    penstock("run", FILE, "-q")
    before = penstock("plan", FILE, "--json").json
    (project / "data" / "days.csv").write_text("day,price,note\n2024-01-01,3,new\n", encoding="utf-8")
    found = penstock("plan", FILE, "--json").json
    assert (found["plan_hash"], before["news"]) == (before["plan_hash"], [])
    assert found["news"] == ['"raw": column "note" is new (string?): left out (on_new_column: ignore)']


def test_rules_of_a_schema_file_that_are_not_enforced_are_told(penstock: Callable[..., Said], project: Path) -> None:
    text = "pipeline: odd\nsources: {raw: {type: csv, path: odd.csv, schema: {file: odd.schema.json}}}\n"
    text += "sinks: {out: {from: raw, type: csv, path: out.csv, mode: overwrite}}\n"
    (project / "odd.yml").write_text(text, encoding="utf-8")
    (project / "odd.csv").write_text("n\n1\n", encoding="utf-8")
    rule = '{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 2}}}'
    (project / "odd.schema.json").write_text(rule, encoding="utf-8")
    for command, key in (("validate", "problems"), ("plan", "warnings"), ("run", "warnings")):
        said = penstock(command, "odd.yml", "--json")
        assert said.code == 0
        assert [(one["code"], one["severity"], one["line"]) for one in said.json[key]] == [("DOC-222", "warning", 2)]


# ---------------------------------------------------------------- preview


@pytest.mark.parametrize(
    ("node", "rows"),
    [("raw", 3), ("dear", 2), ("dear.filter", 2), ("dear.derive", 2), ("out", 2)],
)
def test_every_kind_of_node_can_be_previewed(
    penstock: Callable[..., Said], project: Path, node: str, rows: int
) -> None:
    said = penstock("preview", FILE, node, "--json")
    assert said.code == 0, said.err
    assert len(said.json["rows"]) == rows
    assert said.json["rows"][0]["day"] == "2024-01-01"
    assert [column["name"] for column in said.json["columns"]][:2] == ["day", "price"]
    assert not (project / "out").exists()
    assert not (project / ".penstock").exists()


def test_a_node_is_previewed_whatever_is_wrong_with_those_that_it_does_not_read(
    penstock: Callable[..., Said], project: Path
) -> None:
    text = (project / FILE).read_text(encoding="utf-8").replace("pipeline: days", "pipeline: broken")
    text = text.replace("sources:", "sources:\n  gone: {type: csv, path: gone.csv}")
    text = text.replace("sinks:", "  cheap: {from: [gone, dear], steps: [{filter: prise < 1}]}\nsinks:")
    text = text.replace("{from: dear,", "{from: [dear, cheap],")
    (project / "broken.yml").write_text(text, encoding="utf-8")
    assert penstock("validate", "broken.yml").code == 2
    assert len(penstock("preview", "broken.yml", "dear", "--json").json["rows"]) == 2
    for node in ("cheap", "out"):
        assert penstock("preview", "broken.yml", node, "--json").codes == ["SRC-130"]


def test_a_sinks_table_can_be_previewed_once_it_is_there(penstock: Callable[..., Said]) -> None:
    penstock("run", FILE, "-q")
    said = penstock("preview", FILE, "out", "-n", "1")
    assert said.out.splitlines() == [
        "day                 price        doubled",
        "date        decimal(10,2)  decimal(18,2)",
        "2024-01-01           1.50           3.00",
    ]


def test_a_node_that_is_not_there_gets_the_nearest_name(penstock: Callable[..., Said]) -> None:
    said = penstock("preview", FILE, "dere", "--json")
    assert said.codes == ["CMP-201"]
    assert said.json["problems"][0]["hint"] == 'did you mean "dear"?'


REJECTING = """
pipeline: bad
sources: {raw: {type: csv, path: bad.csv, schema: {columns: {id: int64, price: string, day: string}}}}
transforms: {typed: {from: raw, steps: [{cast: {price: "decimal(10,2)", day: date}}]}}
sinks: {out: {from: typed, type: csv, path: out.csv, mode: overwrite}}
"""


def test_a_preview_says_how_many_rows_were_rejected(penstock: Callable[..., Said], project: Path) -> None:
    (project / "bad.yml").write_text(REJECTING, encoding="utf-8")
    lines = ["id,price,day", "1,1.5,2024-01-01", "2,x,2024-01-01", "3,4,soon", "4,5", "5,6,2024-01-02"]
    (project / "bad.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = penstock("preview", "bad.yml", "typed")
    assert said.code == 0
    assert said.err == "3 of the rows read were rejected: 1 at raw, 2 at typed.cast.check\n"
    found = penstock("preview", "bad.yml", "typed", "--json").json
    assert [row["id"] for row in found["rows"]] == [1, 5]
    assert found["rejected"] == [{"node": "raw", "rows": 1}, {"node": "typed.cast.check", "rows": 2}]
    assert penstock("preview", "bad.yml", "raw").err == "1 of the rows read was rejected: 1 at raw\n"


def test_a_preview_that_rejects_nothing_says_nothing_of_it(penstock: Callable[..., Said], project: Path) -> None:
    (project / "bad.yml").write_text(REJECTING, encoding="utf-8")
    (project / "bad.csv").write_text("id,price,day\n1,1.5,2024-01-01\n", encoding="utf-8")
    assert penstock("preview", "bad.yml", "typed").err == ""
    assert penstock("preview", "bad.yml", "typed", "--json").json["rejected"] == []


def test_hostile_values_do_not_reach_the_terminal(penstock: Callable[..., Said], project: Path) -> None:
    text = "pipeline: odd\nsources: {raw: {type: csv, path: odd.csv}}\n"
    text += "sinks: {out: {from: raw, type: csv, path: out.csv, mode: overwrite}}\n"
    (project / "odd.yml").write_text(text, encoding="utf-8")
    long = "x" * 5_000
    (project / "odd.csv").write_text(
        f'"[red]a[/red]",b\n"\x1b[2J[bold]",{long}\n"\u202eevil\x07","1\n2"\n', encoding="utf-8"
    )
    said = penstock("preview", "odd.yml", "raw")
    assert said.code == 0, said.err
    assert "\x1b" not in said.out
    assert "\x07" not in said.out
    assert "\u202e" not in said.out
    assert "[red]a[/red]" in said.out
    assert max(map(len, said.out.splitlines())) < 200
    found = penstock("preview", "odd.yml", "raw", "--json").json
    assert found["rows"][0] == {"[red]a[/red]": "\x1b[2J[bold]", "b": long}
    assert "\x1b" not in penstock("lineage", "odd.yml").out


# ---------------------------------------------------------------- lineage


def test_a_node_that_is_not_there_is_told_with_those_of_the_document(penstock: Callable[..., Said]) -> None:
    (problem,) = penstock("preview", FILE, "nope", "--json").json["problems"]
    assert problem["detail"] == "known nodes: raw, dear, out."


def test_lineage_in_every_format(penstock: Callable[..., Said]) -> None:
    text = penstock("lineage", FILE).out
    assert "out (sink)\n" in text
    assert "  doubled <- raw.price\n  all decided by raw.day, raw.price\n" in text
    assert penstock("lineage", FILE, "--format", "mermaid").out.splitlines() == [
        "flowchart LR", '  raw[("raw")]', '  dear["dear"]', '  out[/"out"/]', "  raw --> dear", "  dear --> out",
    ]  # fmt: skip
    found = penstock("lineage", FILE, "--json").json
    assert found == penstock("lineage", FILE, "--format", "json").json
    assert found["nodes"]["out"]["doubled"] == {"from": ["raw.price"], "decided_by": ["raw.day", "raw.price"]}
    event = penstock("lineage", FILE, "--format", "openlineage").json
    assert set(event) == {"eventTime", "producer", "schemaURL", "job", "inputs", "outputs"}  # as JobEvent requires
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    facets = event["outputs"][0]["facets"]["columnLineage"]
    assert facets["fields"]["doubled"]["inputFields"][0]["field"] == "price"


def test_lineage_of_one_column(penstock: Callable[..., Said]) -> None:
    found = penstock("lineage", FILE, "--column", "dear.doubled", "--json").json
    assert found["nodes"] == {"dear": {"doubled": {"from": ["raw.price"], "decided_by": ["raw.day", "raw.price"]}}}
    for column, detail, hint in (
        ("dear.dubled", '"dear" has the columns day, price, doubled.', 'did you mean "dear.doubled"?'),
        ("dear.x", '"dear" has the columns day, price, doubled.', None),
        ("x", "the nodes are raw, dear, out.", "write it node.column"),
    ):
        (problem,) = penstock("lineage", FILE, "--column", column, "--json").json["problems"]
        assert (problem["code"], problem["detail"], problem["hint"]) == ("CLI-104", detail, hint)


def test_json_stays_json_whatever_is_in_it(penstock: Callable[..., Said], project: Path) -> None:
    (project / "odd\x9b.yml").write_text("pipeline: [\n", encoding="utf-8")
    said = penstock("validate", "odd\x9b.yml", "--json")
    assert "\x9b" not in said.out + said.err
    assert json.loads(said.out)["problems"][0]["file"] == "odd\x9b.yml"


# ---------------------------------------------------------------- places


_WRONG_VALUES = """\
pipeline: places
sources:
  gone:
    type: csv
    path: nothing/*.csv
  outside:
    type: csv
    path: /etc/passwd
  up: {type: csv, path: ../up.csv}
  days: {type: csv, path: data/*.csv, schema: {columns: {day: string, prise: string}}}
sinks:
  a: {from: gone, type: csv, path: out/a}
  b: {from: outside, type: csv, path: out/b}
  c: {from: [up, days], type: csv, path: out/c}
"""


def test_an_error_points_at_the_value_that_it_is_about(penstock: Callable[..., Said], project: Path) -> None:
    (project / "wrong.yml").write_text(_WRONG_VALUES, encoding="utf-8")
    lines = _WRONG_VALUES.splitlines()
    problems = penstock("validate", "wrong.yml", "--json").json["problems"]
    found = [(one["code"], lines[one["line"] - 1][one["column"] - 1 :].split("}")[0]) for one in problems]
    assert found == [
        ("SRC-130", "nothing/*.csv"),
        ("DOC-232", "/etc/passwd"),
        ("DOC-231", "../up.csv"),
        ("CMP-230", "prise: string"),
    ]


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("dta/days.csv", "data/days.csv"),
        ("data/day.csv", "data/days.csv"),
        ("dta/*.csv", "data/*.csv"),
        ("data/*.txt", None),
        ("elsewhere/x.csv", None),
    ],
)
def test_a_path_that_names_no_file_gets_the_nearest(
    penstock: Callable[..., Said], project: Path, path: str, near: str | None
) -> None:
    (project / FILE).write_text(
        (project / FILE).read_text(encoding="utf-8").replace("data/*.csv", path), encoding="utf-8"
    )
    (problem,) = penstock("validate", FILE, "--connect", "--json").json["problems"]
    assert (problem["code"], problem["hint"]) == ("SRC-130", f'did you mean "{near}"?' if near else None)


@pytest.mark.parametrize("kind", ["json", "ndjson"])
def test_xml_that_is_read_as_json_is_called_so(penstock: Callable[..., Said], project: Path, kind: str) -> None:
    (project / "rows.json").write_text("\ufeff<?xml version='1.0'?>\n<rows><row/></rows>", encoding="utf-8")
    document = f"pipeline: p\nsources: {{a: {{type: {kind}, path: rows.json}}}}\nsinks: {{b: {{from: a, type: csv, path: b}}}}\n"
    (project / "p.yml").write_text(document, encoding="utf-8")
    problem = penstock("validate", "p.yml", "--connect", "--json").json["problems"][0]
    assert (problem["code"], problem["hint"]) == ("SRC-134", "read XML with `type: xml`")
    (project / "rows.json").write_text("", encoding="utf-8")
    problem = penstock("validate", "p.yml", "--connect", "--json").json["problems"][0]
    assert (problem["code"], problem["hint"]) == ("SRC-134", "state them under `schema`")


def test_columns_that_the_target_lacks_are_told_at_the_target_by_the_sinks_own_name(
    penstock: Callable[..., Said], project: Path
) -> None:
    document = """\
pipeline: kept
sources:
  raw: {type: csv, path: data/*.csv, schema: {columns: {day: string, price: string}}}
sinks:
  kept:
    from: raw
    type: sqlite
    path: days.db
    table: things
"""
    (project / "kept.yml").write_text(document, encoding="utf-8")
    assert penstock("run", "kept.yml").code == 0
    (project / "kept.yml").write_text(document.replace("day: string, price: string", "note: string"), encoding="utf-8")
    (project / "data" / "days.csv").write_text("note\nx\n", encoding="utf-8")
    (problem,) = penstock("plan", "kept.yml", "--json").json["problems"]
    assert (problem["code"], problem["line"], problem["message"]) == ("SNK-111", 9, 'sink "kept" has no column "note"')
    assert "things" not in json.dumps(problem)


def test_a_preview_has_the_nodes_that_rules_compare_with(penstock: Callable[..., Said], project: Path) -> None:
    (project / "orders.csv").write_text("customer\n1\n", encoding="utf-8")
    (project / "customers.csv").write_text("id\n1\n", encoding="utf-8")
    (project / "shop.yml").write_text(
        "pipeline: shop\n"
        "sources:\n"
        "  customers: {type: csv, path: customers.csv}\n"
        "  orders:\n"
        "    type: csv\n"
        "    path: orders.csv\n"
        "    rules: [{referential: {columns: customer, to: customers, on: id}}]\n"
        "transforms:\n"
        "  same: {from: orders, rules: [{sum_equals: {column: customer, to: customers, of: id}}]}\n",
        encoding="utf-8",
    )
    for node in ("orders", "same"):
        assert penstock("preview", "shop.yml", node).code == 0
