"""Rules that compare a run with those before: too little history, what is like it, what is not, and what is no history."""

import json
import sqlite3
from contextlib import closing

import pytest

DOCUMENT = """
pipeline: watched
sources:
  raw: {type: csv, path: data/days.csv, schema: {columns: {id: int64, price: "float64?", who: "string?"}}}
transforms:
  good:
    from: raw
    rules:
      - {anomaly: {metric: row_count, min_history: 3}, on_fail: ON_FAIL}
      - {anomaly: {metric: null_share, column: price, min_history: 3, side: above}, name: nulls}
      - distribution: {column: price, mean: {drift: 20 %}, min_history: 3}
sinks: {out: {from: good, type: sqlite, path: out/rows.db, table: rows, mode: overwrite}}
run: {memory: 256 MiB, threads: 1}
"""


@pytest.fixture
def watched(project, penstock):
    """``watched(rows)`` runs the document over as many rows, ``watched.report()`` is its newest quality report."""
    file = project / "pipelines" / "watched.yml"
    file.write_text(DOCUMENT.replace("ON_FAIL", "warn"), encoding="utf-8")

    def run(rows, price=10.0, *words):
        lines = [f"{number},{price},a" for number in range(rows)]
        (project / "data" / "days.csv").write_text("\n".join(["id,price,who", *lines]) + "\n", encoding="utf-8")
        return penstock("run", "pipelines/watched.yml", "--json", *words)

    def report():
        (found,) = penstock("quality", "pipelines/watched.yml", "--json").json["datasets"]
        return {rule["rule"]: rule for rule in found["rules"]}

    run.report, run.project, run.penstock, run.file = report, project, penstock, file
    return run


def details(said):
    return [problem["detail"] for problem in said.json["warnings"]]


def test_a_run_unlike_those_before_is_told(watched):
    for rows in (100, 101, 99):
        assert watched(rows).json["warnings"] == []
    assert [rule["note"] for rule in watched.report().values()] == [
        "info: 2 of 3 runs of history for row_count",
        "info: 2 of 3 runs of history for null_share of price",
        "info: 2 of 3 runs of history for mean of price",
    ]
    assert watched(102).json["warnings"] == []
    found = watched.report()
    assert found["anomaly"]["note"] == "row_count expected between 94.8109 and 105.189, as in 3 runs before"
    assert found["nulls"]["note"] == "null_share of price expected at most 0, as in 3 runs before"
    assert (found["anomaly"]["measured"], found["anomaly"]["score"]) == ({"row_count": 102}, 1)
    odd = watched(20, "")
    assert details(odd) == [
        "row_count is 20, and should be between 95.3109 and 105.689, as in 4 runs before.",
        "null_share of price is 1.0, and should be at most 0, as in 4 runs before.",
    ]
    assert details(watched(100, 12.5)) == [
        'the mean of "price" is 12.5, and should be between 8 and 12, as in 4 runs before.'
    ]
    text = watched.penstock("quality", "pipelines/watched.yml").out
    assert " ".join(text.split()).count("as in 5 runs before") == 2


def test_what_fails_is_not_sealed_and_is_no_history(watched):
    watched.file.write_text(DOCUMENT.replace("ON_FAIL", "fail"), encoding="utf-8")
    for rows in (100, 101, 99):
        assert watched(rows).code == 0
    for _ in range(2):
        failed = watched(5)
        assert (failed.code, failed.codes) == (1, ["ENG-315"])
        assert "between 94.8109 and 105.189, as in 3 runs before" in failed.json["problems"][0]["detail"]
    with closing(sqlite3.connect(watched.project / "out" / "rows.db")) as connection:
        assert connection.execute("select count(*) from rows").fetchone() == (99,)
    assert watched(100).code == 0
    assert watched.report()["anomaly"]["note"].endswith("as in 3 runs before")


def test_what_a_labelled_column_was_like_is_not_told(watched):
    text = DOCUMENT.replace("ON_FAIL", "warn").replace("mode: overwrite}", "mode: overwrite, allow: [pii]}")
    text = text.replace("  raw: {type: csv", "  raw: {labels: {price: [pii]}, type: csv")
    watched.file.write_text(text, encoding="utf-8")
    for _ in range(4):
        assert watched(10).code == 0
    assert [rule["note"] for rule in watched.report().values()][1:] == ["", ""]
    assert details(watched(10, 99.0)) == ["it speaks of labelled columns, and is not shown."]


def test_looking_at_rows_compares_them_with_nothing(watched):
    watched(10)
    assert watched.penstock("preview", "pipelines/watched.yml", "good", "--json").code == 0
    assert watched.penstock("profile", "pipelines/watched.yml", "good", "--json").code == 0
    planned = watched.penstock("plan", "pipelines/watched.yml", "--json")
    assert planned.code == 0
    assert "earlier" not in json.dumps(planned.json)
