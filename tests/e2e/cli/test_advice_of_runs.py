"""``quality --advise`` and ``profile --advise``: rules that were true in all runs, by what these left in the ledger."""

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
    """``kept(low, high)`` runs the document over rows whose prices lie so."""
    (project / "pipelines" / "kept.yml").write_text(DOCUMENT, encoding="utf-8")

    def run(low, high, null=None):
        rows = [f"{n},{'' if n == null else 'c'},{low + (high - low) * n / 49:.2f},{n}.5" for n in range(50)]
        (project / "data" / "rows.csv").write_text("\n".join(["id,code,price,pay", *rows]) + "\n", encoding="utf-8")
        assert penstock("run", "pipelines/kept.yml", "--json").code == 0

    return run


def test_what_held_in_all_runs_is_advised_with_room(kept, penstock):
    kept(10, 20)
    kept(15, 60)
    assert penstock("quality", "pipelines/kept.yml", "--advise").out == (
        "# 100 rows of 2 runs suggest no rule that is not there yet\n"
    )
    kept(12, 13)
    said = penstock("quality", "pipelines/kept.yml", "--advise")
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
    advice = penstock("quality", "pipelines/kept.yml", "--advise", "--json").json["sinks"]["lake"]
    assert (advice["runs"], advice["rows"]) == (4, 200)
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
