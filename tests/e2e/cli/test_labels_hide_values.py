"""Values of labelled columns are shown only where somebody asks for the label."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from penstock.cli.app import execute

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = """\
pipeline: people
sources:
  people:
    type: csv
    path: people.csv
    labels: {email: [pii], age: [pii, health]}
    schema: {columns: {id: int64, email: string, age: int64, town: string}}
transforms:
  known:
    from: people
    steps:
      - rename: {contact: email}
      - cast: {town: int64}
sinks:
  out: {from: known, type: parquet, path: out, allow: [pii, health]}
"""
# A bad value of a labelled column, one of another, a record that is none, and one whose cast fails later.
ROWS = (
    "id,email,age,town\n1,ann@x.org,forty-one,7\nsix,bob@x.org,90042,7\n3,cleo@x.org,90043\n4,dan@x.org,90044,Rome\n"
    "5,eve@x.org,90045,9\n"
)
PRIVATE = ("ann@", "forty-one", "bob@", "90042", "cleo@", "90043", "dan@", "90044", "eve@", "90045")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text(ROWS, encoding="utf-8")
    (tmp_path / "people.yml").write_text(DOCUMENT, encoding="utf-8")
    assert execute(["run", "people.yml"]) == 0
    capfd.readouterr()
    return tmp_path


def said(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert execute(list(arguments)) == 0
    return capfd.readouterr().out


def shown(text: str) -> list[str]:
    return [value for value in PRIVATE if value in text]


def test_rejects_hide_labelled_columns(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for form in ((), ("--json",)):
        assert shown(said(capfd, "rejects", "show", *form)) == []
    found = json.loads(said(capfd, "rejects", "show", "--json"))["records"]
    assert len(found) == 4
    late = next(item for item in found if item["node"].startswith("known"))
    assert {name: late["row"][name] for name in ("id", "contact", "age", "town")} == {
        "id": 4,
        "contact": "***",
        "age": "***",
        "town": "Rome",
    }
    assert late["source_row"]["email"] == "***"
    assert any("six" in cause["message"] for item in found for cause in item["causes"])


def test_rejects_show_a_label_that_is_asked_for(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mails = said(capfd, "rejects", "show", "--allow", "pii", "--json")
    assert "dan@x.org" in mails
    assert "90044" not in mails  # an age has another label too
    assert shown(said(capfd, "rejects", "show", "--allow", "pii", "--allow", "health")) != []
    whole = said(capfd, "rejects", "show", "--allow", "pii", "--allow", "health", "--json")
    assert {"ann@", "forty-one", "bob@", "cleo@", "dan@", "90044"} <= set(shown(whole))


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_exported_rejects_hide_labelled_columns(form: str, project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def exported(name: str, *allow: str) -> str:
        said(capfd, "rejects", "export", name, *allow)
        file = project / name
        return str(pq.read_table(file).to_pylist()) if form == "parquet" else file.read_text(encoding="utf-8")

    assert shown(exported(f"masked.{form}")) == []
    assert "dan@" in exported(f"whole.{form}", "--allow", "pii", "--allow", "health")


def test_a_preview_hides_labelled_columns(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for node in ("people", "known", "out"):
        for form in ((), ("--json",)):
            assert shown(said(capfd, "preview", "people.yml", node, *form)) == []
    rows = json.loads(said(capfd, "preview", "people.yml", "out", "--json", "--allow", "pii"))["rows"]
    assert rows == [{"id": 5, "contact": "eve@x.org", "age": "***", "town": 9}]


PAID = """\
pipeline: paid
sources:
  paid:
    type: csv
    path: paid/*.csv
    incremental: files
    labels: {sal: [pii], born: [pii]}
    schema: {columns: {id: int64, sal: int64, born: timestamp}}
transforms:
  good:
    from: paid
    rules:
      - sum_equals: {column: sal, to: paid, tolerance: 1, scope: epoch}
      - distribution: {column: sal, mean: {max: 5}, quantiles: {p100: {max: 5}}}
      - RULE
sinks:
  out: {from: good, type: parquet, path: out, mode: append, allow: [pii]}
"""


@pytest.fixture
def paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """``paid(rule, *salaries)`` runs the document with that rule over another file of rows: its code and what it says."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paid").mkdir()

    def run(rule: str, *salaries: int) -> tuple[int, dict[str, Any]]:
        (tmp_path / "paid.yml").write_text(PAID.replace("RULE", rule), encoding="utf-8")
        lines = [f"{number},{salary},1931-03-07T08:09:10.111213" for number, salary in enumerate(salaries)]
        name = f"{len(list((tmp_path / 'paid').iterdir()))}.csv"
        if lines:
            (tmp_path / "paid" / name).write_text("\n".join(["id,sal,born", *lines, ""]), encoding="utf-8")
        capfd.readouterr()
        code = execute(["run", "paid.yml", "--json"])
        return code, json.loads(capfd.readouterr().out)

    return run


def ledger_of(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """What the ledger keeps of each rule's figures, epoch by epoch."""
    with closing(sqlite3.connect(folder / ".penstock" / "ledger.db")) as ledger:
        balances = [json.loads(text) for (text,) in ledger.execute("select balance from epochs order by number")]
    return [(rule["rule"], rule["measured"]) for nodes in balances for node in nodes for rule in node["rules"]]


def test_the_ledger_keeps_no_value_of_one_row_as_a_figure(paid, tmp_path: Path) -> None:
    assert paid("row_count: {min: 1}", 987654)[0] == 0
    assert dict(ledger_of(tmp_path)) == {
        "sum_equals": {},
        "distribution": {},
        "row_count": {"rows": 1},
    }
    kept = b"".join(path.read_bytes() for path in (tmp_path / ".penstock").glob("ledger.db*"))
    assert b"987654" not in kept


@pytest.mark.parametrize(
    "rule",
    [
        "anomaly: {metric: max, column: sal}",
        "anomaly: {metric: min, column: sal}",
        "distribution: {column: sal, quantiles: {p99: {drift: 5 %}}}",
    ],
)
def test_a_figure_that_is_the_value_of_one_row_is_compared_with_no_history(rule: str, paid) -> None:
    code, found = paid(rule, 987654)
    assert (code, [problem["code"] for problem in found["problems"]]) == (2, ["RUN-118"])
    assert found["problems"][0]["line"] == 15


FAILING = """\
pipeline: failing
sources:
  people:
    type: csv
    path: people.csv
    labels: {email: [pii]}
    on_bad_value: fail
    schema: {columns: {id: int64, email: KIND}}
transforms:
  made:
    from: people
    steps: [{derive: {made: "EXPRESSION"}}]
sinks:
  out: {from: made, type: parquet, path: out, mode: overwrite, allow: [pii]}
"""


@pytest.mark.parametrize(
    "case",
    [
        ("string", "email::int", "ENG-310"),
        ("string", "(email || '9')::int + 1", "ENG-310"),
        ("string", "error(email)", "ENG-312"),
        ("int64", "id", "ENG-331"),
    ],
)
@pytest.mark.parametrize("labels", ["{email: [pii]}", "{}"])
def test_an_error_quotes_no_value_beside_labels(
    case: tuple[str, str, str], labels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    kind, expression, code = case
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("id,email\n1,ann@x.org\n", encoding="utf-8")
    text = FAILING.replace("KIND", kind).replace("EXPRESSION", expression).replace("{email: [pii]}", labels)
    (tmp_path / "failing.yml").write_text(text, encoding="utf-8")
    assert execute(["run", "failing.yml", "--json"]) == 1
    told = capfd.readouterr()
    assert json.loads(told.out)["problems"][0]["code"] == code
    assert ("ann@" in told.out + told.err) is (labels == "{}")
    kept = b"".join(path.read_bytes() for path in (tmp_path / ".penstock").glob("ledger.db*"))
    assert (b"ann@" in kept) is (labels == "{}")


def test_the_sum_of_another_nodes_labelled_column_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.csv").write_text("amount\n5\n", encoding="utf-8")
    (tmp_path / "paid.csv").write_text("sal\n987654\n", encoding="utf-8")
    (tmp_path / "sums.yml").write_text(
        """\
pipeline: sums
sources:
  own: {type: csv, path: own.csv, schema: {columns: {amount: int64}}}
  paid: {type: csv, path: paid.csv, schema: {columns: {sal: int64}}, labels: {sal: [pii]}}
transforms:
  good: {from: own, rules: [{sum_equals: {column: amount, to: paid, of: sal}}]}
sinks:
  out: {from: good, type: parquet, path: out, mode: overwrite}
""",
        encoding="utf-8",
    )
    assert execute(["run", "sums.yml"]) == 0
    told = capfd.readouterr()
    assert "RUN-117" in told.out + told.err
    assert execute(["quality", "sums.yml"]) == 0
    assert "987654" not in told.out + told.err + capfd.readouterr().out
