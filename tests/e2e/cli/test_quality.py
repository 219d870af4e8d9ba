"""``penstock quality``: what rules found in a run, scored by weight and dimension, beside the runs before."""

from html.parser import HTMLParser

import pytest

HOSTILE = "<script>alert(1)</script> | `x` [a](b)"
DOCUMENT = """
pipeline: held
sources:
  raw: {type: csv, path: data/days.csv, schema: {columns: {id: "int64?", name: "string?", price: "float64?"}}}
transforms:
  good:
    from: raw
    rules:
      - not_null: [name, id]
        weight: 3
      - {range: {column: price, min: 0}, on_fail: warn}
      - {row_count: {min: 4}, name: HOSTILE}
      - {freshness: {column: day, within: 1 day}, weight: 0}
    steps: [{derive: {day: "date '2000-01-01'"}}]
sinks:
  first: {from: good, rules: [{unique: id}], type: sqlite, path: out/held.db, table: rows, mode: overwrite, allow_empty: true}
run: {memory: 256 MiB, threads: 2}
"""
CLEAN = "id,name,price\n1,a,1\n2,b,2\n3,c,3\n4,d,4\n"
BAD = "id,name,price\n1,a,-1\n1,b,2\n,,3\n4,,4\n"


@pytest.fixture
def held(project, penstock):
    """``held(rows)`` runs the document over this CSV, and gives the run's id; ``held.report(...)`` is the report."""
    (project / "pipelines" / "held.yml").write_text(DOCUMENT.replace("HOSTILE", f'"{HOSTILE}"'), encoding="utf-8")

    def run(rows):
        (project / "data" / "days.csv").write_text(rows, encoding="utf-8")
        said = penstock("run", "pipelines/held.yml", "--json")
        assert said.code == 0, said.err
        return said.json["run_id"]

    run.text = DOCUMENT.replace("HOSTILE", f'"{HOSTILE}"')
    run.write = lambda text: (project / "pipelines" / "held.yml").write_text(text, encoding="utf-8")
    run.report = lambda *words: penstock("quality", "pipelines/held.yml", *words)
    run.project, run.penstock = project, penstock
    return run


def test_scores_are_means_by_weight_of_what_each_rule_found(held):
    held(BAD)
    found = held.report("--json").json
    good, first = found["datasets"]
    assert [
        (rule["rule"], rule["kind"], rule["dimension"], rule["rows"], rule["violating"]) for rule in good["rules"]
    ] == [
        ("not_null", "not_null", "completeness", 4, 2),
        ("range", "range", "validity", 4, 1),
        (HOSTILE, "row_count", "completeness", 4, None),
        ("freshness", "freshness", "timeliness", 4, None),
    ]
    assert [rule["score"] for rule in good["rules"]] == [0.5, 0.75, 1.0, 0.0]
    assert good["score"] == pytest.approx((3 * 0.5 + 0.75 + 1) / 5)
    assert good["dimensions"] == {"completeness": (3 * 0.5 + 1) / 4, "validity": 0.75}
    assert (first["name"], first["score"], first["rules"][0]["violating"]) == ("first", 0.0, 2)
    assert found["score"] == pytest.approx((3 * 0.5 + 0.75 + 1 + 0) / 6)
    assert found["dimensions"].keys() == {"completeness", "validity", "uniqueness"}
    assert good["rules"][2]["measured"] == {"rows": 4}
    assert good["rules"][3]["said"].endswith("days old, and should be at most 1 days")


def test_a_rule_is_told_with_its_columns_and_bounds_and_none_of_a_labelled_columns_values(held):
    more = "{range: {column: price, min: 0}, on_fail: warn}\n      - {range: {column: id, max: 77}, on_fail: warn}"
    more += "\n      - {expression: \"name <> 'zz-top'\"}\n      - {in_set: {column: name, values: [zz-top, a, b]}, on_fail: warn}"
    text = held.text.replace("{range: {column: price, min: 0}, on_fail: warn}", more)
    text = text.replace("path: data/days.csv,", "path: data/days.csv, labels: {name: [pii]},")
    held.write(text.replace("allow_empty: true}", "allow_empty: true, allow: [pii]}"))
    held(CLEAN)
    told = [rule["about"] for rule in held.report("--json").json["datasets"][0]["rules"]]
    assert told == [
        {"columns": "name, id"},
        {"column": "price", "min": "0"},
        {"column": "id", "max": "77"},
        {"condition": "***"},
        {"column": "name", "values": "***"},
        {"min": "4"},
        {"column": "day", "within": "1 days"},
    ]
    for way in ("text", "markdown", "html"):
        said = held.report("--format", way).out
        assert "price, min 0" in said
        assert "id, max 77" in said
        assert "zz-top" not in said


def test_a_report_has_the_runs_before_it_and_none_after(held):
    runs = [held(BAD), held(CLEAN), held(BAD)]
    history = held.report("--json").json["history"]
    assert (len(history), history[0], history[1], history[2] < 1) == (3, history[2], 1.0, True)
    second = held.report("--run", runs[1], "--json").json
    assert (second["run_id"], second["score"], second["history"]) == (runs[1], 1.0, history[:2])
    assert [rule["history"] for rule in second["datasets"][0]["rules"]] == [[0.5, 1], [0.75, 1], [1, 1], [0, 0]]


def test_a_report_is_read_as_text(held):
    held(CLEAN)
    held(BAD)
    said = held.report()
    assert said.code == 0
    assert "held  quality 54.17 %" in said.out
    assert "completeness 62.50 %  validity 75.00 %  uniqueness 0.00 %" in said.out
    assert "the last 2 runs" in said.out
    (line,) = [line for line in said.out.splitlines() if line.startswith("not_null")]
    assert line.split() == ["not_null", "completeness", "reject", "3", "4", "2", "50.00", "%", "█▅"]


class _Page(HTMLParser):
    """What a browser would be given: every tag closed, and nothing from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.tags, self.attributes = [], [], set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_a_page_needs_nothing_else_and_holds_no_markup_of_the_documents(held):
    held(CLEAN)
    held(BAD)
    said = held.report("--format", "html")
    page = _Page()
    page.feed(said.out)
    page.close()
    assert page.open == []
    assert not {"script", "link", "img", "iframe"} & page.tags
    assert not {"src", "href", "onload"} & page.attributes
    assert "url(" not in said.out
    assert "//" not in said.out
    assert HOSTILE in page.text
    assert "54.17 %" in page.text


def test_markdown_keeps_its_cells(held):
    held(BAD)
    said = held.report("--format", "markdown")
    rows = [line for line in said.out.splitlines() if line.startswith("|") and "script" in line]
    assert rows == [
        "| \\<script>alert(1)\\</script> \\| \\`x\\` \\[a\\](b) | min 4 | completeness | warn | 1 | 4 |  | 100 % | rows 4 |"
    ]


def test_rows_that_a_rule_lets_pass_are_shown_labelled_columns_masked(held):
    lines = [f"{number},{HOSTILE},-{number}" for number in range(1, 9)]
    held.write(
        held.text.replace("raw: {type: csv", "raw: {labels: {id: [pii]}, type: csv").replace(
            "first: {", "first: {allow: [pii], "
        )
    )
    held("\n".join(["id,name,price", *lines, f"9,{'long' * 99},-9"]) + "\n")
    (good, _) = held.report("--json").json["datasets"]
    (samples,) = [rule["samples"] for rule in good["rules"] if rule["samples"]]
    assert len(samples) == 5
    assert all(list(row) == ["price", "id", "name", "day"] for row in samples)
    assert {row["id"] for row in samples} == {"***"}
    assert {row["price"] for row in samples} <= {float(-number) for number in range(1, 10)}
    assert {len(row["name"]) for row in samples} <= {len(HOSTILE), 100}
    assert held.report().out.count("***") == held.report("--format", "html").out.count("***") == 5
    marked = held.report("--format", "markdown").out
    assert "Rows that violate range:" in marked
    assert "<script" not in marked.replace("\\<script", "")


def test_what_there_is_no_report_of(held):
    assert held.report("--json").codes == ["LED-130"]
    run = held(BAD)
    assert held.report("--run", "nope", "--json").codes == ["LED-130"]
    other = DOCUMENT.replace("pipeline: held", "pipeline: other").replace("HOSTILE", "x")
    (held.project / "pipelines" / "other.yml").write_text(other.replace("held.db", "other.db"), encoding="utf-8")
    assert held.penstock("quality", "pipelines/other.yml", "--json").codes == ["LED-135"]
    assert held.penstock("quality", "pipelines/other.yml", "--run", run, "--json").codes == ["LED-134"]
    failing = DOCUMENT.replace("HOSTILE, ", "HOSTILE, on_fail: fail, ").replace(
        "{min: 4}, name: HOSTILE", "{min: 9}, on_fail: fail"
    )
    (held.project / "pipelines" / "held.yml").write_text(failing, encoding="utf-8")
    failed = held.penstock("run", "pipelines/held.yml", "--json")
    assert failed.codes == ["ENG-315"]
    assert held.report("--run", failed.json["run_id"], "--json").codes == ["LED-135"]


def test_a_pipeline_without_rules_says_so(held):
    held.penstock("run", "pipelines/held.yml")
    text = "pipeline: plain\nsources: {a: {type: csv, path: data/days.csv}}\nsinks: {b: {from: a, type: csv, path: out/b.csv, mode: overwrite}}\n"
    (held.project / "data" / "days.csv").write_text(CLEAN, encoding="utf-8")
    (held.project / "pipelines" / "plain.yml").write_text(text, encoding="utf-8")
    assert held.penstock("run", "pipelines/plain.yml").code == 0
    said = held.penstock("quality", "pipelines/plain.yml")
    assert (said.code, "no node of the pipeline has rules" in said.out) == (0, True)
    assert held.penstock("quality", "pipelines/plain.yml", "--json").json["score"] is None


AS_TEXT = (
    DOCUMENT.replace('id: "int64?"', 'id: "int64"')
    .replace("type: csv, path: data/days.csv", "type: csv, path: data/days*.csv, incremental: files")
    .replace("mode: overwrite, allow_empty: true", "mode: append")
    .replace("HOSTILE", "x")
)


def test_a_report_is_of_the_last_load_and_says_what_was_sent_again_since(held):
    held.write(AS_TEXT.replace("      - {row_count: {min: 4}, name: x}\n", "").replace("rules: [{unique: id}], ", ""))
    run = held("id,name,price\n1,a,-1\n2,,2\nthree,c,3\nfour,d,4\n,e,5\n")
    assert held.report("--json").json["sent_again"] == []
    mended = ("--set", "id = case id when 'three' then '3' else id end")
    sent = held.penstock("rejects", "replay", "pipelines/held.yml", "raw/bad_value/id", *mended, "--json")
    assert sent.code == 0, sent.out
    replay = sent.json["run_id"]
    found = held.report("--json").json
    assert (found["run_id"], found["kind"], len(found["history"])) == (run, "load", 1)
    (good,) = found["datasets"]
    assert (good["rules"][0]["rows"], good["rules"][0]["violating"], good["rejected_before_rules"]) == (2, 1, 3)
    assert found["sent_again"] == [{"group": "raw/bad_value/id", "run_id": replay, "rows": 2, "rejected": 1}]
    for form in ("text", "markdown", "html"):
        said = held.report("--format", form).out
        assert "3 rows were rejected before these rules" in said, form
        assert "2 rows sent again since, 1 rejected again" in said.replace("\\", ""), form
        assert replay in said.replace("\n", ""), form
    own = held.report("--run", replay, "--json").json
    assert (own["run_id"], own["kind"], own["datasets"][0]["rules"][0]["rows"]) == (replay, "replay", 1)
    assert f"replay {replay}" in held.report("--run", replay).out
    listed = held.penstock("runs", "list", "--json").json["runs"]
    assert [(one["run_id"], one["kind"]) for one in listed] == [(replay, "replay"), (run, "load")]
    assert [line.split()[2] for line in held.penstock("runs", "list").out.splitlines()] == ["kind", "replay", "load"]
    (held.project / "data" / "days2.csv").write_text("id,name,price\n7,g,7\n", encoding="utf-8")
    assert held.penstock("run", "pipelines/held.yml").code == 0
    later = held.report("--json").json
    assert (later["sent_again"], len(later["history"]), later["datasets"][0]["rejected_before_rules"]) == ([], 2, 0)
    assert len(held.report("--run", run, "--json").json["sent_again"]) == 1
