"""Many tables: each is a pipeline of its own, and what must not be said of them is told before anything runs."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from many_tables import Folder, request

from penstock.document.assembly import project_of
from penstock.errors import ConfigError
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.service import inspecting, validating
from penstock.service.documents import Stop, run_document
from penstock.service.families import file_name, parts
from penstock.service.quality import quality
from penstock.service.rejected import rejects
from penstock.service.remembering import list_runs, show_run
from penstock.service.suggesting import suggested

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.service.documents import DocumentResult
    from penstock.service.request import Request

pytestmark = pytest.mark.slow

RUN = "run: {memory: 256 MiB, threads: 1}\n"
TWO = (
    """pipeline: copy
sources:
  crm: {type: folder, tables: [s.a, s.b], %s}
transforms:
  kept: {from: crm, steps: [{filter: id > 0}]}
sinks:
  out: {from: kept, type: csv, path: "out/{table}.csv", mode: overwrite}
"""
    + RUN
)
FILES = {"s.a": "id,x\n1,p\n2,q\n", "s.b": "id,y\n7,r\n"}


def run(asked: Request) -> DocumentResult:
    return run_document(asked, events=Events(), faults=Faults())


def codes(asked: Request) -> list[str]:
    with pytest.raises(ConfigError) as caught, parts(asked):
        pass
    return [problem.code for problem in caught.value.problems]


def test_tables_go_to_a_schema_of_the_sink_unless_they_would_meet_there(tmp_path: Path) -> None:
    sink = 'type: sqlite, path: x.db, table: "archive.{table}", mode: overwrite'
    text = TWO.replace('type: csv, path: "out/{table}.csv", mode: overwrite', sink)
    assert {one.status.value for one in run(request(tmp_path, text % "labels: {}", FILES)).results} == {"done"}
    connection = sqlite3.connect(tmp_path / "x.db")
    found = connection.execute("select name from sqlite_schema where name like 'archive%' order by 1").fetchall()
    connection.close()
    assert found == [("archive.a",), ("archive.b",)]
    meeting = text.replace("[s.a, s.b]", "[s.a, t.a]") % "labels: {}"
    files = {"s.a": FILES["s.a"], "t.a": FILES["s.b"]}
    assert codes(request(tmp_path, meeting, files)) == ["CMP-324"]
    assert codes(request(tmp_path, meeting.replace("archive.{table}", "archive"), files)) == ["CMP-320"]


def test_each_table_is_written_to_its_own_place_and_remembered_by_its_own_name(tmp_path: Path) -> None:
    asked = request(tmp_path, TWO % "labels: {}", FILES)
    before = Folder.closed
    found = run(asked)
    assert [(one.pipeline, one.status.value) for one in found.results] == [
        ("copy/crm.s.a", "done"),
        ("copy/crm.s.b", "done"),
    ]
    assert (tmp_path / "out" / "s" / "a.csv").read_text(encoding="utf-8").split() == ["id,x", "1,p", "2,q"]
    assert (tmp_path / "out" / "s" / "b.csv").read_text(encoding="utf-8").split() == ["id,y", "7,r"]
    assert Folder.closed == before + 1
    assert found.to_json()["status"] == "done"
    assert [run["pipeline"] for run in found.to_json()["members"]] == ["copy/crm.s.a", "copy/crm.s.b"]
    assert run(asked).results[1].epochs[0].record.number == 2
    listed = list_runs(asked.settings, limit=10, pipeline="copy")
    assert [one.run.key.pipeline for one in listed] == ["copy/crm.s.b", "copy/crm.s.a"] * 2
    assert project_of(None, asked.settings).name == "shop"


@pytest.mark.parametrize(("on_error", "ran", "left"), [("continue", 2, ()), ("stop", 1, ("copy/crm.s.b",))])
def test_a_table_that_fails_ends_the_others_only_where_that_is_asked_for(
    tmp_path: Path, on_error: str, ran: int, left: tuple[str, ...]
) -> None:
    asked = request(tmp_path, TWO % f"on_table_error: {on_error}", FILES | {"s.a": "other\n1\n"})
    found = run(asked)
    assert (len(found.results), found.not_run, found.status.value) == (ran, left, "failed")
    failed = found.results[0]
    assert failed.error is not None
    assert failed.problems
    assert show_run(asked.settings, failed.run_id).run.status.value == "failed"
    assert (tmp_path / "out" / "s" / "b.csv").exists() == (on_error == "continue")


def test_tables_of_a_higher_priority_run_earlier(tmp_path: Path) -> None:
    with parts(request(tmp_path, TWO % "priority: {s.b: 5}", FILES)) as found:
        assert [part.member for part in found.each] == ["crm.s.b", "crm.s.a"]


def test_a_sink_that_merges_takes_the_keys_of_each_table(tmp_path: Path) -> None:
    document = TWO.replace(
        'type: csv, path: "out/{table}.csv", mode: overwrite', 'type: sqlite, path: x.db, table: "{table}", mode: merge'
    )
    asked = request(tmp_path, document % "keys: {s.a: [id]}", FILES)
    for _ in range(2):
        first, second = run(asked).results
        assert first.status.value == "done"
        assert [problem.code for problem in second.problems] == ["CMP-222"]
    with sqlite3.connect(tmp_path / "x.db") as database:
        assert database.execute('SELECT id, x FROM "s.a" ORDER BY id').fetchall() == [(1, "p"), (2, "q")]
    database.close()


def test_what_reads_no_table_of_a_family_runs_once_and_last(tmp_path: Path) -> None:
    more = TWO.replace("transforms:", "  plain: {type: csv, path: plain.csv}\ntransforms:").replace(
        "sinks:", "sinks:\n  once: {from: plain, type: csv, path: out/once.csv, mode: overwrite}"
    )
    (tmp_path / "plain.csv").write_text("z\n1\n", encoding="utf-8")
    found = run(request(tmp_path, more % "labels: {}", FILES))
    assert [one.pipeline for one in found.results] == ["copy/crm.s.a", "copy/crm.s.b", "copy"]
    assert (tmp_path / "out" / "once.csv").read_text(encoding="utf-8").split() == ["z", "1"]


def test_a_query_and_a_join_over_tables_are_per_table(tmp_path: Path) -> None:
    more = TWO.replace("transforms:", "  names: {type: csv, path: names.csv}\ntransforms:").replace(
        "{from: crm, steps: [{filter: id > 0}]}",
        "{from: all, steps: [{join: {to: names, on: [id], add: [name]}}]}\n  all: {sql: select id from CRM}",
    )
    (tmp_path / "names.csv").write_text("id,name\n1,one\n7,seven\n", encoding="utf-8")
    found = run(request(tmp_path, more % "labels: {}", FILES))
    assert [one.status.value for one in found.results] == ["done", "done"]
    assert (tmp_path / "out" / "s" / "b.csv").read_text(encoding="utf-8").split() == ["id,name", "7,seven"]


def test_tables_that_would_meet_in_one_place_are_refused(tmp_path: Path) -> None:
    assert codes(request(tmp_path, TWO.replace("{table}", "all") % "labels: {}", FILES)) == ["CMP-320"]


def test_two_families_do_not_meet_in_a_sink(tmp_path: Path) -> None:
    more = TWO.replace("transforms:", "  erp: {type: folder, tables: [s.c]}\ntransforms:").replace(
        "from: crm", "from: [crm, erp]"
    )
    assert codes(request(tmp_path, more % "labels: {}", FILES)) == ["CMP-321"]


def test_a_sink_that_is_written_once_is_no_input_of_what_is_per_table(tmp_path: Path) -> None:
    more = (
        TWO.replace("transforms:", "  plain: {type: csv, path: plain.csv}\ntransforms:")
        .replace("sinks:", "sinks:\n  lake: {from: plain, type: delta, path: lake, mode: overwrite}")
        .replace("from: crm", "from: [crm, lake]")
    )
    assert codes(request(tmp_path, more % "labels: {}", FILES)) == ["CMP-322"]


def test_a_place_for_a_table_needs_tables(tmp_path: Path) -> None:
    more = TWO.replace("{type: folder, tables: [s.a, s.b], %s}", "{type: csv, path: x.csv}")
    assert codes(request(tmp_path, more, FILES)) == ["CMP-323"]


def test_a_pattern_that_fits_no_table_is_told_at_the_source(tmp_path: Path) -> None:
    asked = request(tmp_path, TWO.replace("s.b", "none") % "labels: {}", FILES)
    (failed,) = run(asked).results
    (problem,) = failed.problems
    assert (failed.pipeline, show_run(asked.settings, failed.run_id).run.key.pipeline) == ("copy", "copy")
    assert (problem.code, problem.at and problem.at.line) == ("SRC-208", 3)


def test_rejects_are_those_of_their_table(tmp_path: Path) -> None:
    document = TWO.replace("{filter: id > 0}", "{cast: {id: int64}}") % "labels: {}"
    asked = request(tmp_path, document, FILES | {"s.b": "id,y\n7,r\nseven,s\n"})
    first, second = run(asked).results
    assert (first.rejected, second.rejected) == (0, 1)
    found = rejects(asked.settings)
    assert (found.run_id, found.total) == (second.run_id, 1)
    assert rejects(asked.settings, run_id=first.run_id).total == 0


def test_an_interrupt_ends_all_tables(tmp_path: Path) -> None:
    def reached(point: str) -> None:
        raise KeyboardInterrupt(point)

    asked = request(tmp_path, TWO % "labels: {}", FILES, reached=reached)
    found = run(asked)
    assert (found.status.value, found.not_run) == ("interrupted", ("copy/crm.s.b",))


@pytest.mark.parametrize(("is_signal", "status"), [(True, "interrupted"), (False, "stopped")])
def test_after_a_table_that_was_finished_since_a_stop_was_asked_for_the_next_does_not_begin(
    tmp_path: Path, *, is_signal: bool, status: str
) -> None:
    stop = Stop()

    def reached(point: str) -> None:
        if point == "files.staged":
            stop.ask("somebody", is_signal=is_signal)

    asked = request(tmp_path, TWO % "labels: {}", FILES, reached=reached)
    found = run_document(asked, events=Events(level="error"), faults=Faults(), stop=stop)
    assert [each.status.value for each in found.results] == ["done"]
    assert (found.status.value, found.not_run) == (status, ("copy/crm.s.b",))


# ---------------------------------------------------------------- looking at it


def test_the_answer_about_tables_has_one_shape_however_many_there_are(tmp_path: Path) -> None:
    one_table = TWO.replace("s.a, s.b", "s.b")
    shapes = [
        inspecting.plan(request(tmp_path, text % "labels: {}", FILES)).to_json(lambda one: one.plan.pipeline)
        for text in (TWO, one_table)
    ]
    assert shapes == [{"members": ["copy/crm.s.a", "copy/crm.s.b"]}, {"members": ["copy/crm.s.b"]}]
    traced = inspecting.lineage(request(tmp_path, one_table % "labels: {}", FILES), connect=False)
    assert list(traced.to_json(inspecting.Traced.to_json)) == ["members"]


def test_each_table_has_its_plan_its_lineage_and_its_preview(tmp_path: Path) -> None:
    asked = request(tmp_path, TWO % "labels: {}", FILES)
    assert [one.plan.pipeline for one in inspecting.plan(asked)] == ["copy/crm.s.a", "copy/crm.s.b"]
    assert ["x" in one.lineage["out"] for one in inspecting.lineage(asked)] == [True, False]
    assert inspecting.preview(asked, "kept", 5).schema.names == ("id", "x")
    assert inspecting.preview(asked, "crm.s.b", 5).schema.names == ("id", "y")
    assert inspecting.preview(asked, "crm.s.b/kept", 5).rows.num_rows == 1


def test_validating_says_which_table_is_meant(tmp_path: Path) -> None:
    asked = request(tmp_path, TWO % "labels: {}", FILES | {"s.b": "other\n1\n"})
    found = validating.validate(asked, connect=True)
    assert not found.ok
    assert [
        'Of the table "crm.s.b".' in (problem.detail or "") for problem in found.problems if problem.code != "CMP-229"
    ] == [True]
    offline = validating.validate(asked)
    assert offline.ok
    assert "CMP-330" in [problem.code for problem in offline.problems]


# ---------------------------------------------------------------- hostile names


def test_names_of_tables_are_no_paths(tmp_path: Path) -> None:
    name = '../../a"; DROP TABLE x;--'
    found = run(request(tmp_path, TWO.replace("s.b", f"'s.{name}'") % "labels: {}", FILES | {f"s.{name}": "id\n7\n"}))
    assert [one.status.value for one in found.results] == ["done", "done"]
    written = [path for path in (tmp_path / "out" / "s").iterdir() if path.suffix == ".csv"]
    assert len(written) == 2
    assert not [path for path in tmp_path.parent.iterdir() if "DROP" in path.name]


def test_a_file_name_is_of_one_table_only() -> None:
    names = ["a.b", "a%2Eb", "..", ".", "_a", "%5Fa", "a/b", "Größe", "x" * 300, "x" * 299 + "y", "a\0b", "a\nb"]
    written = [file_name(name) for name in names]
    assert len(set(written)) == len(names)
    assert all("/" not in name and name not in {".", ".."} and len(name.encode()) <= 200 for name in written)
    assert file_name("Größe") == "Größe"


def test_each_table_has_a_quality_of_its_own(tmp_path: Path) -> None:
    """And a history of its own: one that is unlike before is not judged by the other."""
    ruled = (
        "  kept: {from: crm, rules: [{range: {column: id, max: 2}}, {anomaly: {metric: row_count, min_history: 2}}]}\n"
    )
    text = TWO.replace("  kept: {from: crm, steps: [{filter: id > 0}]}\n", ruled) % "labels: {}"
    rows = [{**FILES, "s.b": "id,y\n1,r\n1,s\n"}] * 3
    for files in (*rows, {"s.a": "id,x\n1,p\n3,q\n", "s.b": "id,y\n" + "1,r\n" * 9}):
        asked = request(tmp_path, text, files)
        assert {one.status.value for one in run(asked).results} == {"done"}
    found = quality(asked)
    assert found.of_tables
    scores = {one.pipeline: [(rule.score, rule.note) for rule in one.rules] for one in found}
    assert scores == {
        "copy/crm.s.a": [(0.5, None), (1, "row_count expected between 2 and 2, as in 3 runs before")],
        "copy/crm.s.b": [(1, None), (0, "row_count expected between 2 and 2, as in 3 runs before")],
    }
    newest = list_runs(asked.settings, limit=9)[0].run
    assert [one.pipeline for one in quality(asked, newest.run_id)] == [newest.key.pipeline]
    assert {member["pipeline"] for member in found.to_json(lambda one: one.to_json())["members"]} == set(scores)


def test_of_tables_that_sealed_nothing_there_is_no_quality(tmp_path: Path) -> None:
    asked = request(tmp_path, TWO % "labels: {}", {"s.a": FILES["s.a"]})
    asked.settings.project_root.joinpath("data", f"{b'b'.hex()}.csv").unlink(missing_ok=True)
    run(asked)
    assert [one.pipeline for one in quality(asked)] == ["copy/crm.s.a"]


def test_of_many_tables_advice_goes_by_their_runs_alone(tmp_path: Path) -> None:
    asked = request(tmp_path, TWO % "labels: {}", FILES)
    run(asked)
    assert {one.unread for one in suggested(asked)} == {"of many tables only what their runs left is told"}
    assert suggested(asked, reads=False) == ()  # CSV files are written without figures
