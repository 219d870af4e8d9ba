"""``runs`` and ``rejects``: what is remembered of a project, as tables, as JSON, as files."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

FILE = "pipelines/days.yml"
LISTS = (["runs", "list"], ["rejects", "list"], ["rejects", "show"])


@pytest.mark.parametrize("command", LISTS)
def test_a_project_that_never_ran_has_nothing_and_gets_nothing(
    penstock: Callable[..., Said], project: Path, command: list[str]
) -> None:
    said = penstock(*command)
    assert (said.code, said.err) == (0, "")
    assert said.out in {"nothing has been run yet\n", "nothing was rejected\n"}
    found = penstock(*command, "--json").json
    assert all(value in (None, [], 0) for value in found.values())
    assert not (project / ".penstock").exists()


@pytest.mark.parametrize("command", LISTS)
def test_a_folder_of_no_project_is_not_taken_for_one_that_never_ran(
    penstock: Callable[..., Said],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert penstock(*command, "--json").codes == ["CLI-106"]


@pytest.mark.parametrize(
    "command",
    [["runs", "show", "x"], ["runs", "show"], ["rejects", "list", "--run", "x"], ["rejects", "show", "--run", "x"]],
)
def test_a_run_that_is_not_there_is_a_problem(penstock: Callable[..., Said], command: list[str]) -> None:
    assert penstock(*command, "--json").codes == ["LED-130"]
    penstock("run", FILE, "-q")
    if command[-1] == "x":
        assert penstock(*command, "--json").codes == ["LED-130"]


def test_a_prefix_that_fits_several_runs_lists_them(penstock: Callable[..., Said]) -> None:
    ids = [penstock("run", FILE, "--json").json["run_id"] for _ in range(2)]
    beginning = ids[0][:2]
    for command in (["runs", "show", beginning], ["rejects", "list", "--run", beginning]):
        said = penstock(*command, "--json")
        assert said.codes == ["LED-133"]
        assert said.json["problems"][0]["detail"] == f"newest first: {ids[1]}, {ids[0]}."


def test_runs_are_listed_newest_first_and_shown(penstock: Callable[..., Said]) -> None:
    ran = [penstock("run", FILE, "--json").json for _ in range(2)]
    ids = [run["run_id"] for run in ran]
    found = penstock("runs", "list", "--json").json["runs"]
    assert [run["run_id"] for run in found] == ids[::-1]
    assert found[0].keys() == {
        "run_id", "project", "environment", "pipeline", "kind", "status", "started_at", "ended_at", "engine", "guarantee",
        "plan_hash", "stopping", "stopped",
    }  # fmt: skip
    assert len(penstock("runs", "list", "-n", "1", "--json").json["runs"]) == 1
    assert penstock("runs", "list", "--pipeline", "other", "--json").json["runs"] == []
    lines = penstock("runs", "list").out.splitlines()
    assert lines[1].split()[:3] == [ids[1], "days", "done"]
    shown = penstock("runs", "show", ids[0])
    assert f"days  run {ids[0]}  done" in shown.out
    assert ["raw", "4", "3", "1"] in [line.split() for line in shown.out.splitlines()]
    assert ["dear.derive", "2", "2"] in [line.split() for line in shown.out.splitlines()]
    assert shown.out.splitlines()[-1].split() == ["out", "2", "2", "1"], "the receipt: 2 rows, inserted, version 1"
    details = penstock("runs", "show", "--json").json
    assert details["run_id"] == ids[1]
    assert details["summary"] == ran[1]
    assert details["summary"]["epochs"][0]["ranges"]


def test_the_list_of_runs_fits_80_columns(
    penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (project / FILE).read_text(encoding="utf-8")
    long = "a_pipeline_whose_name_is_longer_than_anybody_would_like_it"
    (project / FILE).write_text(text.replace("pipeline: days", f"pipeline: {long}"), encoding="utf-8")
    penstock("run", FILE, "-q")
    monkeypatch.setenv("COLUMNS", "80")
    lines = penstock("runs", "list").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["run", "pipeline", "status", "started", "(UTC)", "took", "rejected"]
    assert lines[1].split()[-1] == "1"


def test_rejects_are_grouped_shown_and_exported(penstock: Callable[..., Said], project: Path) -> None:
    run_id = penstock("run", FILE, "--json").json["run_id"]
    listed = penstock("rejects", "list")
    assert listed.out.splitlines()[0] == f"days, run {run_id}: 1 row rejected"
    said = '"day" is no date: yesterday'
    assert listed.out.splitlines()[-1].split(maxsplit=3) == ["raw/bad_value/day", "1", "1", said]
    assert penstock("rejects", "list", "--json").json == {
        "run_id": run_id, "pipeline": "days", "total": 1, "reasons": 1, "outcomes": [],
        "by_cause": [{
            "group": "raw/bad_value/day", "node": "raw", "cause": "bad_value", "column": "day", "rows": 1, "epochs": [1],
            "example": said,
        }],
    }  # fmt: skip
    shown = penstock("rejects", "show")
    assert shown.out.splitlines() == [
        f"days, run {run_id}: 1 row rejected",
        'raw  bad_value: "day" is no date: yesterday', "  at data/days.csv, record 4, byte 42", "  yesterday,3.50",
    ]  # fmt: skip
    [record] = penstock("rejects", "show", "--json", "--node", "raw").json["records"]
    assert (record["node"], record["epoch"], record["status"], record["raw"]) == ("raw", 1, "kept", "yesterday,3.50")
    assert penstock("rejects", "show", "--node", "dear").out == "nothing was rejected\n"
    for command in ("show", "list"):
        said = penstock("rejects", command, "--node", "dear.filtr", "--json")
        assert said.codes == ["LED-132"]
        assert said.json["problems"][0]["hint"] == 'did you mean "dear.filter"?'
    assert penstock("rejects", "export", "bad.json", "--json").json == {
        "run_id": run_id,
        "file": "bad.json",
        "records": 1,
    }
    assert json.loads((project / "bad.json").read_text(encoding="utf-8")) == record
    assert record["position"] | {"file": None} == {"file": None, "record": 4, "byte": 42}
    assert penstock("rejects", "export", "bad.parquet").out == "1 record written to bad.parquet\n"
    import pyarrow.parquet as pq

    assert pq.read_table(project / "bad.parquet").num_rows == 1


@pytest.mark.parametrize("name", ["bad.csv", "bad"])
def test_an_export_is_what_the_ending_of_its_file_says(penstock: Callable[..., Said], project: Path, name: str) -> None:
    penstock("run", FILE)
    said = penstock("rejects", "export", name, "--json")
    assert said.codes == ["LED-131"]
    assert ".parquet" in said.json["problems"][0]["detail"]
    assert not (project / name).exists()
    assert penstock("rejects", "export", name, "--format", "json").out == f"1 record written to {name}\n"


def test_a_row_with_several_reasons_is_one_row(penstock: Callable[..., Said], project: Path) -> None:
    (project / "data" / "days.csv").write_text("day,price\nyesterday,much\ntoday,1\n", encoding="utf-8")
    penstock("run", FILE, "-q")
    lines = penstock("rejects", "list").out.splitlines()
    assert lines[0].endswith(": 2 rows rejected for 3 reasons")
    assert sorted(line.split()[:2] for line in lines[2:]) == [["raw/bad_value/day", "2"], ["raw/bad_value/price", "1"]]
    found = penstock("rejects", "list", "--json").json
    assert (found["total"], found["reasons"]) == (2, sum(cause["rows"] for cause in found["by_cause"]))


def test_an_export_overwrites_nothing_and_leaves_nothing_half_written(
    penstock: Callable[..., Said], project: Path
) -> None:
    penstock("run", FILE, "-q")
    (project / "there.json").write_text("mine", encoding="utf-8")
    assert penstock("rejects", "export", "there.json", "--json").codes == ["LED-131"]
    assert (project / "there.json").read_text(encoding="utf-8") == "mine"
    assert penstock("rejects", "export", "no/such/folder.json", "--json").codes == ["LED-131"]
    for file in (project / ".penstock" / "rejects").rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:100])
    said = penstock("rejects", "export", "broken.json", "--json")
    assert (said.code, said.codes) == (1, ["LED-120"])
    assert not (project / "broken.json").exists()
    assert penstock("rejects", "show", "--json").codes == ["LED-120"]


def test_wide_and_hostile_records_are_shown_shortened_and_harmless(
    penstock: Callable[..., Said], project: Path
) -> None:
    record = f"\x1b[31mnever\u202e,{'9' * 5_000}"
    (project / "data" / "days.csv").write_text(f"day,price\n{record}\n2024-01-01,1\n", encoding="utf-8")
    run = penstock("run", FILE)
    shown = penstock("rejects", "show")
    assert "\x1b" not in run.out + run.err + shown.out
    assert "\u202e" not in shown.out
    assert "characters)" in shown.out
    assert penstock("rejects", "show", "--json").json["records"][0]["raw"] == record


def test_a_project_may_be_named(penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    penstock("run", FILE, "-q")
    monkeypatch.chdir("/")
    assert len(penstock("runs", "list", "--project", str(project), "--json").json["runs"]) == 1
    assert penstock("rejects", "list", "--project", str(project), "--json").json["total"] == 1
    assert penstock("runs", "list", "--project", str(project / "nowhere"), "--json").codes == ["CLI-106"]


def test_a_ledger_that_is_none_is_a_problem(penstock: Callable[..., Said], project: Path) -> None:
    (project / ".penstock").mkdir()
    (project / ".penstock" / "ledger.db").write_bytes(os.urandom(4096))
    for command in (*LISTS, ["run", FILE], ["plan", FILE]):
        said = penstock(*command, "--json")
        assert said.code in {2, 4}
        assert said.codes[0].startswith("LED-")
