"""Rules in documents that are run: what they reject, count, fail, hide and tell, through the command line."""

import csv
import json

import pyarrow as pa
import pytest
from deltalake import write_deltalake

HEAD = """
pipeline: held
sources:
  raw: {type: csv, path: data/*.csv, schema: {columns: {id: int64, name: "string?", price: "float64?"}}}
transforms:
  good:
    from: raw
    steps: [{derive: {shown: upper(name)}}]
    rules:
"""
TAIL = """
sinks:
  first: {from: good, type: csv, path: out/first.csv, mode: overwrite, allow: [pii]}
  second: {from: good, type: sqlite, path: out/second.db, table: rows, mode: overwrite, allow: [pii]}
run: {memory: 256 MiB, threads: 2}
"""
ROWS = [(1, "a", "1.5"), (2, "", "2"), (3, "c", "-1"), (3, "d", "9"), (5, None, "NaN"), (6, "f", "1e9"), (7, "🛢", "")]
BAD = "      - range: {column: price, min: 0, max: 100}\n        name: plausible\n"


@pytest.fixture
def held(project, penstock):
    """``held(rules, "run", ...)``: the command over the document with these rules, each a line of YAML."""
    with (project / "data" / "days.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("id", "name", "price"))
        rows.writerows((number, name, price) for number, name, price in ROWS)

    def call(rules, *words):
        (project / "pipelines" / "held.yml").write_text(HEAD + rules + TAIL, encoding="utf-8")
        return penstock(words[0], "pipelines/held.yml", *words[1:])

    call.penstock, call.project = penstock, project
    return call


def ids(project):
    with (project / "out" / "first.csv").open(encoding="utf-8") as file:
        return sorted(int(row["id"]) for row in csv.DictReader(file))


def node(said, name):
    entry = said.json["balance"][name]
    return entry["in"], entry["out"], entry["rejected"]


def test_rejects_have_the_rules_name_and_balance(held):
    said = held(BAD + "      - unique: id\n      - not_null: [name, price]\n", "run", "--json")
    assert said.code == 0
    assert node(said, "good.rules") == (7, 1, 6)
    assert ids(held.project) == [1]
    assert {
        (item["node"], item["cause"], item["column"], item["rows"]) for item in said.json["rejects"]["by_cause"]
    } == {
        ("good.rules", "plausible", "price", 3),
        ("good.rules", "unique", "id", 2),
        ("good.rules", "not_null", "name", 2),
        ("good.rules", "not_null", "price", 1),
    }
    assert said.json["rejects"]["total"] == 6
    assert said.json["warnings"] == []
    shown = held.penstock("rejects", "show", "--json").json["records"]
    (several,) = [record for record in shown if record["row"]["id"] == 3 and record["row"]["price"] == -1.0]
    assert [cause["code"] for cause in several["causes"]] == ["plausible", "unique"]
    assert several["row"].keys() == {"id", "name", "price", "shown"}
    assert "plausible" in held.penstock("rejects", "list").out


def test_a_row_by_row_rule_shows_the_sources_row_too(held):
    held(BAD, "run")
    shown = held.penstock("rejects", "show", "--json").json["records"]
    assert {record["source_row"]["id"] for record in shown} == {3, 5, 6}


def test_on_fail_fail_commits_nothing(held):
    assert held("", "run").code == 0
    before = ids(held.project)
    said = held("      - not_null: name\n" + BAD + "        on_fail: fail\n", "run", "--json")
    assert (said.code, said.codes) == (1, ["ENG-313"])
    (problem,) = said.json["problems"]
    assert problem["message"] == '3 rows break what "good.rules" demands'
    assert problem["line"] == 11
    assert ids(held.project) == before
    assert said.json["epochs"] == []
    assert said.json["rejects"]["aborted"]["total"] == 4


@pytest.mark.parametrize(
    ("limit", "code", "detail"),
    [
        ("max_rows: 3", 0, None),
        ("max_rows: 2", 1, "at most 2 may."),
        ("max_share: 42.9 %", 0, None),
        ("max_share: 42.8 %", 1, "at most 42.8 % of 7 may."),
        ("max_share: 0 %", 1, "at most 0 % of 7 may."),
        ("max_rows: 0", 1, "at most 0 may."),
    ],
)
@pytest.mark.parametrize("on_fail", ["reject", "warn", "info"])
def test_more_violations_than_a_rule_allows_fail_the_run(held, on_fail, limit, code, detail):
    said = held(f"{BAD}        {limit}\n        on_fail: {on_fail}\n", "run", "--json")
    assert said.code == code
    assert [problem["detail"] for problem in said.json["problems"]] == ([detail] if detail else [])
    assert said.codes == (["ENG-314"] if detail else [])
    assert (held.project / "out" / "first.csv").exists() == (code == 0)


@pytest.mark.parametrize(
    "failing", ["{not_null: name, on_fail: warn, max_rows: 0}", "{row_count: {max: 2}, on_fail: fail}"]
)
def test_what_other_rules_rejected_is_kept_where_one_that_lets_rows_pass_fails_the_run(held, failing):
    said = held(f"{BAD}      - {failing}\n", "run", "--json")
    assert said.code == 1
    assert said.json["rejects"]["aborted"] == {
        "total": 3,
        "by_cause": [{"node": "good.rules", "cause": "plausible", "column": "price", "rows": 3}],
    }
    assert held.penstock("rejects", "list", "--all").out.count("plausible") == 1


def test_a_row_counts_once_for_a_rule_about_several_columns(held):
    assert held("      - not_null: [name, shown]\n        max_rows: 2\n", "run").code == 0
    assert held("      - not_null: [name, shown]\n        max_rows: 1\n", "run").code == 1
    assert held("      - {not_null: [name, shown], on_fail: warn, max_rows: 2}\n", "run").code == 0
    assert held("      - {not_null: [name, shown], on_fail: warn, max_rows: 1}\n", "run").code == 1


def test_warn_and_info_let_rows_pass_and_count_them(held):
    rules = (
        f"{BAD}        on_fail: warn\n      - {{not_null: name, on_fail: info}}\n      - expression: id <> 6\n"
        "      - {unique: id, on_fail: warn}\n      - {not_null: id, on_fail: warn}\n"
    )
    said = held(rules, "run", "--json")
    assert said.code == 0
    assert ids(held.project) == [1, 2, 3, 3, 5, 7]
    assert [(item["code"], item["message"], item["line"]) for item in said.json["warnings"]] == [
        ("RUN-116", '3 rows violate the rule "plausible" of "good.rules"', 10),
        ("RUN-116", '2 rows violate the rule "unique" of "good.rules"', 15),
    ]
    assert said.json["balance"]["good.rules"]["noted"] == {"plausible": 3, "not_null": 2, "unique": 2, "not_null_2": 0}
    assert node(said, "good.rules") == (7, 6, 1)
    assert held.penstock("runs", "show").out.count("3 by plausible of good.rules") == 1
    assert held(rules, "run", "--fail-on", "warnings").code == 1
    people = held(rules, "run")
    assert "warning[RUN-116]" in people.err
    assert "noted: 3 by plausible of good.rules, 2 by not_null of good.rules" in people.out


def test_a_rule_that_only_counts_does_not_fail_a_run_that_fails_on_warnings(held):
    assert held(f"{BAD}        on_fail: info\n", "run", "--fail-on", "warnings").code == 0


def test_labels_hide_what_rules_say(held):
    document = HEAD.replace("}}}\n", "}}, labels: {price: [pii]}}\n", 1)
    (held.project / "pipelines" / "held.yml").write_text(document + BAD + TAIL, encoding="utf-8")
    assert held.penstock("run", "pipelines/held.yml").code == 0
    hidden = held.penstock("rejects", "show").out
    assert "1000000000" not in hidden
    assert "***" in hidden
    assert "1000000000" in held.penstock("rejects", "show", "--allow", "pii").out
    (held.project / "pipelines" / "held.yml").write_text(
        document + BAD + "        on_fail: fail\n" + TAIL, encoding="utf-8"
    )
    failed = held.penstock("run", "pipelines/held.yml")
    assert failed.code == 1
    assert "plausible" in failed.err
    assert "1000000000" not in failed.err + failed.out


def test_a_rule_decides_rows_in_the_lineage_and_stands_in_the_plan(held):
    said = held(BAD, "lineage", "--column", "first.id", "--json")
    assert "price" in json.dumps(said.json)
    plan = held(BAD, "plan", "--json").json
    assert "good.rules" in plan["nodes"]
    assert held(BAD, "preview", "good", "--json").json["rejected"] != {}


def test_rules_of_a_source_a_transform_and_a_sink_each_have_their_say(held):
    document = (HEAD + BAD + TAIL).replace("}}}\n", "}}, rules: [{not_null: name}]}\n", 1)
    document = document.replace("  second: {", "  second: {rules: [{expression: id < 3}], ")
    (held.project / "pipelines" / "held.yml").write_text(document, encoding="utf-8")
    said = held.penstock("run", "pipelines/held.yml", "--json")
    assert {name: node(said, name) for name in ("raw.rules", "good.rules", "second.rules")} == {
        "raw.rules": (7, 5, 2),
        "good.rules": (5, 3, 2),
        "second.rules": (3, 1, 2),
    }
    assert [epoch["sinks"]["second"]["rows"] for epoch in said.json["epochs"]] == [1]


def test_what_is_read_a_second_time_with_care_is_counted_once(held):
    with (held.project / "data" / "more.csv").open("w", encoding="utf-8") as file:
        file.write("id,name,price\nnone,x,900\n8,y,900\n")
    said = held(f"{BAD}        on_fail: warn\n", "run", "--json")
    assert node(said, "raw") == (9, 8, 1)
    assert said.json["balance"]["good.rules"]["noted"] == {"plausible": 4}


FILTERED = """
pipeline: held
sources: {raw: {type: delta, path: rows}}
transforms:
  good: {from: raw, rules: [{range: {column: id, max: 5}, MORE}]}
  last: {from: good, steps: [{filter: id > 3}]}
sinks: {first: {from: last, type: csv, path: out/first.csv, mode: overwrite}}
"""


@pytest.mark.parametrize(
    ("more", "code", "read"),
    [
        ("max_share: 28.6 %", 0, 7),
        ("max_share: 28.5 %", 1, None),
        ("on_fail: warn, max_share: 28.6 %", 0, 7),
        ("on_fail: warn, max_share: 28.5 %", 1, None),
        ("on_fail: warn", 0, 3),
        ("max_rows: 2", 0, 3),
        ("max_rows: 1", 1, None),
    ],
)
def test_a_condition_that_is_pushed_into_the_read_changes_no_rules_figures(held, more, code, read):
    rows = pa.table({"id": [row[0] for row in ROWS], "name": [row[1] for row in ROWS]})
    write_deltalake(held.project / "rows", rows, partition_by=["id"])
    (held.project / "pipelines" / "held.yml").write_text(FILTERED.replace("MORE", more), encoding="utf-8")
    said = held.penstock("run", "pipelines/held.yml", "--json")
    assert said.code == code, said.err
    if read is not None:
        assert said.json["balance"]["raw"]["in"] == read
        assert said.json["rejects"]["total"] + said.json["balance"]["good.rules"].get("noted", {}).get("range", 0) == 2


def test_without_a_row_no_rule_is_broken(held):
    (held.project / "data" / "days.csv").write_text("id,name,price\n", encoding="utf-8")
    tail = TAIL.replace("mode: overwrite", "mode: overwrite, allow_empty: true")
    rules = f"{BAD}        max_share: 0 %\n      - {{unique: id, on_fail: fail}}\n      - {{not_null: name, on_fail: warn}}\n"
    (held.project / "pipelines" / "held.yml").write_text(HEAD + rules + tail, encoding="utf-8")
    said = held.penstock("run", "pipelines/held.yml", "--json")
    assert said.code == 0
    assert said.json["balance"]["good.rules"].get("noted", {}).get("not_null", 0) == 0
    assert said.json["warnings"] == []


def test_the_catalogue_has_the_rules(held):
    names = [item["name"] for item in held.penstock("rules", "--json").json["components"]]
    assert {"not_null", "range", "unique"} <= set(names)
    said = held.penstock("rules", "range")
    assert said.code == 0
    assert said.out.index("above") < said.out.index("max_share")
    assert held.penstock("rules", "rang").code == 2


def test_a_later_reject_below_a_rule_that_lets_rows_pass_shows_the_sources_row(held):
    """What was read is read a second time for the rejected row, and counted once."""
    document = HEAD.replace("schema: {columns", "rules: [{not_null: price, on_fail: warn}], schema: {columns")
    document = document.replace(
        "{derive: {shown: upper(name)}}", "{cast: {name: 'decimal(3,1)'}}, {derive: {shown: name}}"
    )
    (held.project / "pipelines" / "held.yml").write_text(document + BAD + TAIL, encoding="utf-8")
    said = held.penstock("run", "pipelines/held.yml", "--json")
    assert said.code == 0
    assert node(said, "raw") == (7, 7, 0)
    assert said.json["balance"]["raw.rules"]["noted"] == {"not_null": 1}
    shown = held.penstock("rejects", "show", "--json").json["records"]
    assert {(record["node"], record["source_row"]["id"]) for record in shown} >= {("good.cast.check", 1)}
