"""Rules about all rows in documents that are run: what they warn of, fail and hide, and keys of another node."""

import csv
import json

import pytest

HEAD = """
pipeline: held
sources:
  raw: {type: csv, path: data/days.csv, schema: {columns: {id: int64, name: "string?", price: "decimal(12,2)?", day: "date?"}}}
  more: {type: csv, path: data/more.csv, schema: {columns: {id: int64, price: "decimal(12,2)?"}}}
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
ROWS = [(1, "a", "1.5", "2020-01-01"), (2, "", "2", "2021-01-01"), (3, None, "-1", ""), (9, "d", "9", "2001-01-01")]


@pytest.fixture
def held(project, penstock):
    """``held(rules, "run", ...)``: the command over the document with these rules, each a line of YAML."""
    write(project / "data" / "days.csv", ("id", "name", "price", "day"), ROWS)
    write(project / "data" / "more.csv", ("id", "price"), [(1, "3.00"), (2, "8.50"), (3, "")])

    def call(rules, *words, head=HEAD):
        (project / "pipelines" / "held.yml").write_text(head + rules + TAIL, encoding="utf-8")
        return penstock(words[0], "pipelines/held.yml", *words[1:])

    call.penstock, call.project = penstock, project
    return call


def write(path, names, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(names)
        table.writerows(rows)


def rules(*lines):
    return "".join(f"      - {line}\n" for line in lines)


ALL = rules(
    "row_count: {min: 5}",
    "null_share: {columns: [name, day], max: 20 %}",
    "{distinct_count: {column: id, max: 4}, name: ids}",
    "freshness: {column: day, within: 5 days}",
    "{sum_equals: {column: price, to: more}, on_fail: info}",
    "{row_count: {min: 7}, on_fail: info}",
)


def test_what_all_rows_violate_is_told_and_every_row_passes(held):
    said = held(ALL, "run", "--json")
    assert said.code == 0
    found = [(item["code"], item["message"], item["line"]) for item in said.json["warnings"]]
    assert found == [
        ("RUN-117", f'the rows of "good.rules" together violate the rule "{rule}"', line)
        for rule, line in (("row_count", 11), ("null_share", 12), ("freshness", 14))
    ]
    assert said.json["warnings"][0]["detail"] == "there are 4 rows, and should be at least 5."
    entry = said.json["balance"]["good.rules"]
    assert (entry["in"], entry["out"], entry["rejected"]) == (4, 4, 0)
    assert entry["measured"] == {
        "row_count": {"rows": 4},
        "null_share": {"null share of name": 0.5, "null share of day": 0.25},
        "ids": {"distinct": 4},
        "freshness": {"age_s of day": entry["measured"]["freshness"]["age_s of day"]},
        "sum_equals": {"sum": 11.5},
        "row_count_2": {"rows": 4},
    }
    assert held(ALL, "run", "--fail-on", "warnings").code == 1
    people = held(ALL, "run")
    assert "warning[RUN-117]" in people.err


def test_the_epochs_moment_is_what_age_is_counted_from(held):
    age = held(rules("freshness: {column: day, within: 1 s}"), "run", "--json").json["balance"]["good.rules"]
    days, rest = divmod(age["measured"]["freshness"]["age_s of day"], 86_400)
    assert (days > 365 * 3, rest) == (True, 0)


def test_on_fail_fail_commits_nothing(held):
    assert held(ALL, "run").code == 0
    before = (held.project / "out" / "first.csv").read_bytes()
    (held.project / "data" / "days.csv").write_text("id,name,price,day\n1,,1,\n", encoding="utf-8")
    said = held(
        rules("{row_count: {min: 2}, on_fail: fail}", "{null_share: {columns: name, max: 0 %}, on_fail: fail}"),
        "run",
        "--json",
    )
    assert (said.code, said.codes) == (1, ["ENG-315", "ENG-315"])
    assert [(item["line"], item["detail"]) for item in said.json["problems"]] == [
        (11, "there are 1 rows, and should be at least 2."),
        (12, '100.0 % of "name" is null, and should be at most 0 %.'),
    ]
    assert (said.json["epochs"], (held.project / "out" / "first.csv").read_bytes()) == ([], before)


def test_what_is_said_of_labelled_columns_is_hidden(held):
    head = HEAD.replace('day: "date?"}}}', 'day: "date?"}}, labels: {price: [pii]}}', 1)
    said = held(rules("sum_equals: {column: price, to: more, of: id}"), "run", "--json", head=head)
    (warning,) = said.json["warnings"]
    assert "11.5" not in warning["detail"]
    assert warning["detail"] == "it speaks of labelled columns, and is not shown."


def test_a_key_that_another_node_lacks_is_a_reject(held):
    said = held(rules("referential: {columns: id, to: more}", "sum_equals: {column: price, to: more}"), "run", "--json")
    assert said.code == 0
    assert [(item["node"], item["cause"], item["rows"]) for item in said.json["rejects"]["by_cause"]] == [
        ("good.rules", "referential", 1)
    ]
    shown = held.penstock("rejects", "show", "--json").json["records"]
    assert [(record["row"]["id"], record["causes"][0]["message"]) for record in shown] == [
        (9, '"more" has no row with its (id)')
    ]
    assert shown[0]["row"].keys() == {"id", "name", "price", "day", "shown"}
    assert said.json["warnings"] == []


def test_labels_do_not_spread_from_a_key_that_is_looked_up(held):
    head = HEAD.replace('day: "date?"}}}', 'day: "date?"}}, labels: {id: [pii]}}', 1)
    said = held(rules("referential: {columns: id, to: more}"), "plan", "--json", head=head)
    columns = {item["name"]: item["labels"] for item in said.json["nodes"]["good.rules.rows"]["columns"]}
    assert columns == {"id": ["pii"], "name": [], "price": [], "day": [], "shown": []}


def test_a_table_that_this_run_fills_is_looked_into(held):
    document = HEAD + rules("not_null: name") + TAIL
    document = document.replace(
        "sinks:\n", "  checked: {from: good, rules: [{referential: {columns: id, to: second, on: id}}]}\nsinks:\n"
    )
    document = document.replace("first: {from: good", "first: {from: checked")
    (held.project / "pipelines" / "held.yml").write_text(document, encoding="utf-8")
    said = held.penstock("run", "pipelines/held.yml", "--json")
    assert said.code == 0, said.err
    assert said.json["balance"]["checked.rules"]["out"] == 2


def test_over_new_rows_alone_a_comparison_says_that_the_epoch_is_meant(held):
    head = HEAD.replace("more.csv, schema", "more.csv, incremental: {cursor: id}, schema", 1)
    refused = held(rules("sum_equals: {column: price, to: more}"), "validate", "--json", head=head)
    assert refused.codes == ["CMP-354"]
    assert held(rules("sum_equals: {column: price, to: more, scope: epoch}"), "validate", head=head).code == 0
    assert held(ALL.replace("to: more", "to: raw"), "validate", head=head).code == 0


def test_a_place_without_rows_has_figures_too(held):
    (held.project / "data" / "days.csv").write_text("id,name,price,day\n", encoding="utf-8")
    tail = ", allow_empty: true, allow: [pii]"
    (held.project / "pipelines" / "held.yml").write_text(
        HEAD + ALL + TAIL.replace(", allow: [pii]", tail), encoding="utf-8"
    )
    said = held.penstock("run", "pipelines/held.yml", "--json")
    assert said.code == 0, said.err
    assert said.json["balance"]["good.rules"]["measured"]["row_count"] == {"rows": 0}
    assert said.json["balance"]["good.rules"]["measured"]["freshness"] == {"age_s of day": None}


def test_what_was_measured_is_remembered(held):
    run = held(ALL, "run", "--json").json
    shown = held.penstock("runs", "show", run["run_id"], "--json").json
    assert json.dumps(run["balance"]["good.rules"]["measured"]) in json.dumps(shown)
