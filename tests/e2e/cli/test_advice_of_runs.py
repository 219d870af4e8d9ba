"""``quality --advise`` and ``profile --advise``: rules that were true in all runs, by what these left in the ledger and by
what the sinks' tables hold now.
"""

import pytest

DOCUMENT = """
pipeline: kept
sources:
  raw: {type: csv, path: data/rows.csv, schema: {columns: {id: int64, code: "string?", price: "decimal(9,2)?", pay: "float64?"}}, labels: {pay: [pii]}}
transforms:
  good: {from: raw, rules: [{range: {column: id, min: 0}}]}
sinks: {lake: {from: good, type: parquet, path: out/lake, mode: append, allow: [pii]}}
run: {memory: 256 MiB, threads: 1}
"""


@pytest.fixture
def kept(project, penstock):
    """``kept(low, high)`` runs the document over rows whose prices lie so, their ids each time the same."""
    (project / "pipelines" / "kept.yml").write_text(DOCUMENT, encoding="utf-8")

    def run(low, high, null=None):
        rows = [f"{n},{'' if n == null else 'c'},{low + (high - low) * n / 49:.2f},{n}.5" for n in range(50)]
        (project / "data" / "rows.csv").write_text("\n".join(["id,code,price,pay", *rows]) + "\n", encoding="utf-8")
        assert penstock("run", "pipelines/kept.yml", "--json").code == 0

    return run


def test_what_held_in_all_runs_is_advised_with_room(kept, penstock):
    kept(10, 20)
    kept(15, 60)
    assert penstock("quality", "pipelines/kept.yml", "--from-history").out == (
        "# 100 rows of 2 runs suggest no rule that is not there yet\n"
    )
    kept(12, 13)
    said = penstock("quality", "pipelines/kept.yml", "--advise", "--from-history")
    assert said.out == (
        "# true of what all runs wrote; widen what may grow\n"
        "sinks:\n"
        "  # 150 rows of 3 runs\n"
        "  lake:\n"
        "    rules:\n"
        "      - not_null: [code, price, pay]\n"
        "      - range: {column: price, min: 5.00, max: 65.00}\n"
    )
    kept(10, 20, null=7)
    advice = penstock("quality", "pipelines/kept.yml", "--from-history", "--json").json["sinks"]["lake"]
    assert (advice["runs"], advice["rows"], advice["table"]) == (4, 200, None)
    assert advice["advice"][0] == {"rule": "not_null", "columns": ["price", "pay"]}


def test_a_profile_advises_what_earlier_runs_bear_out(kept, penstock, project):
    kept(15, 60, null=7)
    lines = [f"{n},c,{20 + n % 40}.00,1.5" for n in range(120)]
    (project / "data" / "rows.csv").write_text("\n".join(["id,code,price,pay", *lines]) + "\n", encoding="utf-8")
    found = penstock("profile", "pipelines/kept.yml", "good", "--advise").out.splitlines()
    assert found[0] == "# true of all 120 rows, and of what 1 runs wrote; widen what may grow"
    assert "      - not_null: [id, price, pay]" in found  # code was null before
    assert "      - range: {column: price, min: 10.50, max: 64.50}" in found
    source = penstock("profile", "pipelines/kept.yml", "raw", "--advise").out  # whose rows no sink gets as they are
    assert "range: {column: price, min: 20.00, max: 59.00}" in source


def test_without_a_run_there_is_nothing_to_go_by(kept, penstock):
    assert penstock("quality", "pipelines/kept.yml", "--advise", "--json").codes == ["LED-130"]


NEW_FILES = """
pipeline: grown
sources:
  raw: {type: csv, path: "data/new*.csv", incremental: files, schema: {columns: {id: int64, code: "string?", price: int64, mail: "string?"}}, labels: {mail: [pii]}}
sinks:
  lake:
    from: raw
    type: parquet
    path: out/grown
    mode: append
    allow: [pii]
"""


@pytest.fixture
def grown(project, penstock):
    """``grown(number, ids)`` runs the document over one more file, of rows with these ids."""

    def run(number, ids, document=NEW_FILES):
        (project / "pipelines" / "grown.yml").write_text(document, encoding="utf-8")
        lines = [f"{n},AB-{n % 7}{n % 3},{n % 20},{'mine' if n % 2 else 'yours'}{n}@example.com" for n in ids]
        text = "\n".join(["id,code,price,mail", *lines]) + "\n"
        (project / "data" / f"new{number}.csv").write_text(text, encoding="utf-8")
        assert penstock("run", "pipelines/grown.yml", "--json").code == 0

    return run


def test_what_the_table_has_but_once_is_advised_as_unique_and_can_be_taken(grown, penstock, project):
    grown(1, range(90))
    assert penstock("quality", "pipelines/grown.yml", "--advise").out == (
        "# all 90 rows of its table now, and 90 rows of 1 runs suggest no rule that is not there yet\n"
    )
    grown(2, range(90, 150))
    said = penstock("quality", "pipelines/grown.yml", "--advise")
    assert said.out == (
        "# true of what all runs wrote, and of what the tables hold now; widen what may grow\n"
        "sinks:\n"
        "  # all 150 rows of its table now, and 150 rows of 2 runs\n"
        "  lake:\n"
        "    rules:\n"
        "      - not_null: [code, mail]\n"
        "      - unique: [id]  # in all 150 rows of the table now\n"
        "        scope: epoch\n"
        '      - pattern: {column: code, pattern: "\\\\p{L}{2}-\\\\p{N}{2}"}  # in all 150 rows of the table now\n'
        "      - range: {column: price, min: 0, max: 21}\n"
        "      - unique: [mail]  # in all 150 rows of the table now\n"
        "        scope: epoch\n"
    )
    taken = "".join(f"{line}\n" for line in said.out.splitlines()[4:])
    (project / "pipelines" / "grown.yml").write_text(NEW_FILES + taken, encoding="utf-8")
    assert penstock("validate", "pipelines/grown.yml").code == 0
    (project / "data" / "new3.csv").write_text("id,code,price,mail\n207,AB-12,3,m\n207,AB-13,3,n\n208,AB-14,3,o\n")
    assert penstock("run", "pipelines/grown.yml", "--json").json["rejects"]["total"] == 2
    again = penstock("quality", "pipelines/grown.yml", "--advise", "--json").json["sinks"]["lake"]
    assert (again["table"], again["advice"]) == ({"rows": 151, "unread": None}, [])


def test_what_the_table_has_twice_is_no_key_though_each_run_had_it_once(grown, penstock):
    grown(1, range(90))
    grown(2, range(80, 150))
    advice = penstock("quality", "pipelines/grown.yml", "--advise", "--json").json["sinks"]["lake"]["advice"]
    assert "unique" not in {item["rule"] for item in advice}
    assert "not_null" in {item["rule"] for item in advice}


def test_of_a_whole_read_an_epoch_is_all_rows(grown, penstock):
    whole = NEW_FILES.replace("incremental: files, ", "").replace("append", "overwrite")
    grown(1, range(120), whole)
    advice = penstock("quality", "pipelines/grown.yml", "--advise", "--json").json["sinks"]["lake"]["advice"]
    assert {"rule": "unique", "columns": ["id"]} in advice


def test_a_merge_is_advised_no_key_by_the_table_that_it_keeps(grown, penstock):
    merged = NEW_FILES.replace("type: parquet", "type: sqlite").replace("path: out/grown", "path: out/g.db")
    grown(1, range(120), merged.replace("mode: append", "mode: merge\n    keys: [id]\n    table: grown"))
    found = penstock("quality", "pipelines/grown.yml", "--advise", "--json").json["sinks"]["lake"]
    assert (found["runs"], found["table"]) == (0, {"rows": 120, "unread": None})
    assert [item["rule"] for item in found["advice"]] == ["not_null", "pattern", "range"]


def test_values_of_labelled_columns_are_not_shown(grown, penstock):
    labelled = NEW_FILES.replace("{mail: [pii]}", "{code: [pii], price: [pii], mail: [pii]}")
    grown(1, range(150), labelled)
    advice = penstock("quality", "pipelines/grown.yml", "--advise", "--json").json["sinks"]["lake"]["advice"]
    assert [(item["rule"], item["columns"]) for item in advice] == [
        ("not_null", ["code", "mail"]),
        ("unique", ["id"]),
        ("unique", ["mail"]),
    ]


def test_a_table_that_cannot_be_read_is_told_and_the_runs_speak(grown, penstock, project):
    for number in range(3):
        grown(number, range(number * 40, number * 40 + 40))
    for file in (project / "data").glob("new*.csv"):
        file.unlink()  # what they were is not known without them: whose values are sensitive, neither
    said = penstock("quality", "pipelines/grown.yml", "--advise").out.splitlines()
    assert said[1].startswith("# lake by its runs alone: SRC-")
    assert said[2:6] == ["sinks:", "  # 120 rows of 3 runs", "  lake:", "    rules:"]
    assert not [line for line in said if "unique" in line]


def test_what_a_sink_cannot_give_back_is_told(grown, penstock):
    sheet = NEW_FILES.replace("type: parquet", "type: excel").replace("path: out/grown", "path: out/grown.xlsx")
    grown(1, range(150), sheet.replace("mode: append", "mode: overwrite").replace("incremental: files, ", ""))
    assert penstock("quality", "pipelines/grown.yml", "--advise").out == (
        "# 150 rows of 1 runs suggest no rule that is not there yet\n"
        "# lake by its runs alone: its rows cannot be read back (excel)\n"
    )
