"""A source that sends nothing any more: what `freshness` tells of it where no epoch, or an epoch without its rows, is made."""

import csv
from datetime import UTC, datetime, timedelta

import pytest

from penstock.run import passes

DOCUMENT = """
pipeline: fed
sources:
  raw:
    type: csv
    path: data/raw/*.csv
    incremental: files
    schema: {columns: {id: int64, day: "date?", seen: "timestamptz?"}}
    rules:
RULES
  more: {type: csv, path: data/more/*.csv, incremental: files, schema: {columns: {id: int64}}}
transforms:
  both: {sql: SELECT id FROM raw UNION ALL SELECT id FROM more, scope: epoch}
sinks: {out: {from: both, type: sqlite, path: out/rows.db, table: rows, mode: append}}
run: {memory: 256 MiB, threads: 1}
"""
TODAY = datetime.now(UTC)
OLD = f"{TODAY - timedelta(days=30):%Y-%m-%d}"


@pytest.fixture
def fed(project, penstock):
    """``fed(rules)`` runs the document with these rules, ``fed.comes(folder, name, row, ...)`` is a file of rows."""

    def comes(folder, name, *rows):
        path = project / "data" / folder / name
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("id", "day", "seen")[: len(rows[0])], *rows])

    def run(*rules, json=True):
        text = "".join(f"      - {rule}\n" for rule in rules).rstrip()
        (project / "pipelines" / "fed.yml").write_text(DOCUMENT.replace("RULES", text), encoding="utf-8")
        return penstock("run", "pipelines/fed.yml", *(["--json"] if json else []))

    run.comes, run.penstock = comes, penstock
    comes("raw", "1.csv", (1, OLD, f"{TODAY - timedelta(hours=30):%Y-%m-%dT%H:%M:%SZ}"), (2, "2020-01-01", ""))
    comes("more", "1.csv", (9,))
    return run


def details(said):
    return [(problem["code"], problem["detail"]) for problem in said.json["warnings"]]


def epochs(said):
    return [epoch["epoch"] for epoch in said.json["epochs"]]


STALE = ("RUN-117", 'the newest "day" is 30.0 days old, and should be at most 5 days.')


def test_a_run_that_finds_nothing_new_tells_that_the_newest_value_is_too_old(fed):
    assert details(fed("freshness: {column: day, within: 40 days}", "freshness: {column: seen, within: 2 days}")) == []
    idle = fed("freshness: {column: day, within: 5 days}", "freshness: {column: seen, within: 2 days}")
    assert (idle.code, epochs(idle), details(idle)) == (0, [], [STALE])
    measured = idle.json["nothing_new"]["measured"]["raw.rules"]
    assert measured["freshness"] == {"age_s of day": 30 * 86_400}
    assert 30 * 3600 <= measured["freshness_2"]["age_s of seen"] < 31 * 3600
    shown = fed("freshness: {column: day, within: 5 days}", json=False)
    assert (shown.code, "nothing new" in shown.out, "30.0 days old" in shown.err) == (0, True, True)
    assert fed.penstock("runs", "show", "--json").json["summary"]["warnings"][0]["code"] == "RUN-117"
    told = fed("{freshness: {column: day, within: 5 days}, on_fail: info}")
    assert (details(told), told.json["nothing_new"]["measured"]["raw.rules"]["freshness"]) == (
        [],
        {"age_s of day": 30 * 86_400},
    )


def test_a_run_that_finds_nothing_new_fails_where_the_rule_says_so(fed):
    assert fed("freshness: {column: day, within: 40 days}").code == 0
    failed = fed("{freshness: {column: day, within: 5 days}, on_fail: fail}")
    assert (failed.code, failed.codes, epochs(failed)) == (1, ["ENG-315"], [])
    assert failed.json["problems"][0]["detail"] == STALE[1]
    again = fed("{freshness: {column: day, within: 40 days}, on_fail: fail}")
    assert (again.code, epochs(again), again.json["nothing_new"] is not None) == (0, [], True)
    fed.comes("raw", "2.csv", (3, f"{TODAY:%Y-%m-%d}", ""))
    healed = fed("{freshness: {column: day, within: 5 days}, on_fail: fail}")
    assert (healed.code, epochs(healed), healed.json["nothing_new"]) == (0, [2], None)


def test_an_epoch_that_only_another_source_fills_goes_by_the_newest_value_before(fed):
    assert fed("freshness: {column: day, within: 40 days}").code == 0
    fed.comes("more", "2.csv", (10,))
    other = fed("freshness: {column: day, within: 5 days}")
    assert (epochs(other), details(other)) == ([2], [STALE])
    assert details(fed("freshness: {column: day, within: 5 days}")) == [STALE]  # by both epochs


def test_older_rows_that_come_late_are_judged_by_themselves_and_make_nothing_older_than_it_is(fed):
    assert fed("freshness: {column: day, within: 40 days}").code == 0
    fed.comes("raw", "2.csv", (3, "2021-01-01", ""))
    late = fed("freshness: {column: day, within: 40 days}")
    assert (epochs(late), len(details(late))) == ([2], 1)
    assert details(fed("freshness: {column: day, within: 40 days}")) == []


def test_where_nothing_came_ever_and_of_other_rules_nothing_is_told(fed):
    fed.comes("raw", "1.csv", (1, "", ""))
    rules = (
        "freshness: {column: day, within: 5 days}",
        "{row_count: {min: 1}, on_fail: fail}",
        "{anomaly: {metric: row_count, side: below, min_history: 1}, on_fail: fail}",
    )
    assert epochs(fed(*rules)) == [1]
    idle = fed(*rules)
    assert (idle.code, details(idle)) == (0, [])
    assert idle.json["nothing_new"] == {"measured": {"raw.rules": {"freshness": {"age_s of day": None}}}}


def test_what_another_history_of_the_pipeline_knew_is_not_looked_at(fed):
    assert fed("freshness: {column: day, within: 40 days}").code == 0
    fed.comes("raw", "1.csv", (1, "2020-01-01", ""))
    fed.penstock("run", "pipelines/fed.yml", "--full-refresh")
    (told,) = details(fed("freshness: {column: day, within: 40 days}"))
    assert told[0] == "RUN-117"


SERIES = """
pipeline: series
sources: {raw: {type: csv, path: data/raw/*.csv, incremental: files, schema: {columns: {id: int64, day: "date?", seen: "timestamptz?"}}}}
sinks:
  out: {from: raw, type: sqlite, path: out/rows.db, table: rows, mode: merge, keys: [id], rules: [{freshness: {column: day, within: 5 days}}]}
run: {memory: 256 MiB, threads: 1, epoch: {rows: 1}}
"""


def test_a_series_asks_once_for_what_it_knew_before(fed, project, monkeypatch):
    asked = []
    monkeypatch.setattr(passes, "ages_before", lambda *given, of=passes.ages_before: asked.append(1) or of(*given))
    for number in range(2, 5):
        fed.comes("raw", f"{number}.csv", (number + 10, OLD, ""))
    (project / "pipelines" / "series.yml").write_text(SERIES, encoding="utf-8")
    said = fed.penstock("run", "pipelines/series.yml", "--json")
    assert (epochs(said), len(asked)) == ([1, 2, 3, 4, 5], 1)
    assert details(said) == [STALE]
