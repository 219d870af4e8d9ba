"""``penstock profile``: what the rows of a node or a file are like, in every form it has."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.testing.data import NAMES, TYPES, named_table, wide_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

pytestmark = pytest.mark.slow

FILE = "pipelines/days.yml"
HOSTILE = [kind for kind in TYPES if kind != "interval"]  # which no Parquet file of Arrow's holds


def columns(said: Said) -> dict[str, dict[str, Any]]:
    assert said.code == 0, said.err
    return {column["name"]: column for column in said.json["columns"]}


def of_file(penstock: Callable[..., Said], project: Path, table: pa.Table, *arguments: str) -> Said:
    pq.write_table(table, project / "data.parquet")
    return penstock("profile", "--path", "data.parquet", *arguments)


def test_a_file_is_counted_measured_and_binned(penstock: Callable[..., Said], project: Path) -> None:
    numbers = pa.array([*range(1000), None], pa.int64())
    words = pa.array(["ab-12"] * 600 + ["X"] * 300 + [f"once {n}" for n in range(100)] + [""], pa.string())
    said = of_file(penstock, project, pa.table({"n": numbers, "word": words}), "--json")
    found = columns(said)
    assert said.json["rows"] == 1001
    number, word = found["n"], found["word"]
    assert (number["count"], number["nulls"], number["distinct"], number["distinct_is_exact"]) == (1000, 1, 1000, True)
    assert (number["min"], number["max"], number["mean"]) == ("0", "999", 499.5)
    assert number["stddev"] == pytest.approx(288.8194, abs=1e-3)
    assert [item["share"] for item in number["quantiles"]] == [0.05, 0.25, 0.5, 0.75, 0.95]
    assert [item["value"] for item in number["quantiles"]] == pytest.approx([50, 250, 500, 750, 950], abs=5)
    assert [item["rows"] for item in number["histogram"]] == [50] * 20
    assert number["top"] == []
    assert word["top"] == [{"value": "ab-12", "rows": 600}, {"value": "X", "rows": 300}]
    assert word["patterns"][:3] == [
        {"pattern": "AA-99", "rows": 600},
        {"pattern": "A", "rows": 300},
        {"pattern": "AAAA 99", "rows": 90},
    ]
    assert (word["empty"], word["lengths"]["min"], word["lengths"]["max"]) == (1, 0, 7)
    assert (word["distinct"], word["distinct_is_exact"]) == (103, True)


def test_many_distinct_values_that_repeat_are_counted_about(penstock: Callable[..., Said], project: Path) -> None:
    found = columns(of_file(penstock, project, pa.table({"n": pa.array([n // 2 for n in range(20_000)])}), "--json"))
    assert found["n"]["distinct_is_exact"] is False
    assert found["n"]["distinct"] == pytest.approx(10_000, rel=0.15)


def test_instants_have_quantiles_and_bins_as_instants(penstock: Callable[..., Said], project: Path) -> None:
    days = pa.array([f"2024-01-{n + 1:02d}" for n in range(21)]).cast(pa.date32())
    found = columns(
        of_file(penstock, project, pa.table({"day": days, "at": days.cast(pa.timestamp("us", "UTC"))}), "--json")
    )
    assert (found["day"]["min"], found["day"]["max"], found["day"]["mean"]) == ("2024-01-01", "2024-01-21", None)
    assert found["day"]["quantiles"][2]["value"] == "2024-01-11"
    assert found["day"]["histogram"][0] == {"low": "2024-01-01", "high": "2024-01-02", "rows": 1}
    assert found["at"]["quantiles"][2]["value"] == "2024-01-11 00:00:00+00"


@pytest.mark.parametrize(("zone", "ending"), [(None, ""), ("UTC", "+00")])
def test_instants_are_written_alike_wherever_they_stand(
    penstock: Callable[..., Said], project: Path, zone: str | None, ending: str
) -> None:
    moments = pa.array([f"2024-01-{n + 1:02d}" for n in range(21)]).cast(pa.date32()).cast(pa.timestamp("us", zone))
    found = columns(of_file(penstock, project, pa.table({"at": moments}), "--json"))["at"]
    first, middle, last = (f"2024-01-{day:02d} 00:00:00{ending}" for day in (1, 11, 21))
    assert (found["min"], found["quantiles"][2]["value"], found["max"]) == (first, middle, last)
    assert (found["histogram"][0]["low"], found["histogram"][-1]["high"]) == (first, last)


def test_numbers_that_go_together_are_correlated(penstock: Callable[..., Said], project: Path) -> None:
    table = pa.table({"a": [1, 2, 3, 4], "b": [8.0, 6.0, 4.0, 2.0], "one": [7, 7, 7, 7], "word": ["x", "y", "z", "z"]})
    said = of_file(penstock, project, table, "--json")
    assert said.json["correlated"] == ["a", "b", "one"]
    (pair,) = said.json["correlations"]
    assert (pair["one"], pair["other"], pair["value"]) == ("a", "b", pytest.approx(-1))


# ---------------------------------------------------------------- hostile data


def test_nan_and_infinities_stand_beside_the_figures(penstock: Callable[..., Said], project: Path) -> None:
    values = [1.0, 2.0, 3.0, float("nan"), float("inf"), float("-inf"), None]
    found = columns(of_file(penstock, project, pa.table({"x": pa.array(values, pa.float64())}), "--json"))["x"]
    assert (found["count"], found["nulls"], found["nan"], found["infinite"]) == (6, 1, 1, 2)
    assert (found["mean"], found["stddev"], found["min"], found["max"]) == (2.0, 1.0, "-inf", "inf")
    assert sum(item["rows"] for item in found["histogram"]) == 3


@pytest.mark.parametrize("rows", [0, 3])
def test_nothing_but_nulls_and_nothing_at_all(penstock: Callable[..., Said], project: Path, rows: int) -> None:
    fields = [field for field in wide_table(HOSTILE).schema if not isinstance(field.type, pa.BaseExtensionType)]
    table = pa.table({field.name: pa.nulls(rows, field.type) for field in fields})
    found = columns(of_file(penstock, project, table, "--json"))
    assert {(one["count"], one["nulls"], one["distinct"]) for one in found.values()} == {(0, rows, 0)}
    assert {one["min"] for one in found.values()} == {None}
    assert of_file(penstock, project, table).code == 0
    assert of_file(penstock, project, table, "--format", "html").code == 0


def test_values_of_every_type_nested_ones_too(penstock: Callable[..., Said], project: Path) -> None:
    table = wide_table(HOSTILE)
    found = columns(of_file(penstock, project, table, "--json"))
    assert set(found) == set(table.column_names)
    for name, one in found.items():
        nulls = table.column(name).null_count
        assert (name, one["count"], one["nulls"]) == (name, table.num_rows - nulls, nulls)
    by_type = {one["type"]: one for one in found.values()}
    assert by_type["decimal(38,10)"]["max"] == "9999999999999999999999999999.9999999999"
    assert by_type["uint64"]["max"] == "18446744073709551615"
    assert (by_type["date"]["min"], by_type["date"]["max"]) == ("0001-01-01", "9999-12-31")
    assert by_type["list<string?>"]["lengths"] == {"min": 0, "mean": pytest.approx(51 / 26), "max": 3}
    assert by_type["map<string,int64?>"]["top"] == []


def test_more_columns_than_one_statement_takes(penstock: Callable[..., Said], project: Path) -> None:
    table = pa.table({f"c{n}": pa.array([n, None, n + 1]) for n in range(120)})
    said = of_file(penstock, project, table, "--json")
    assert [(one["min"], one["nulls"]) for one in columns(said).values()] == [(str(n), 1) for n in range(120)]
    assert len(said.json["correlated"]) == 20


def test_patterns_of_few_texts_are_those_of_many(
    penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dictionary's values are taken apart once each, and count as often as they stand there."""
    words = ["AB-12", "äß-٣٤", "x" * 80, "", "🛢 7", "CD-99"]
    table = pa.table({"word": [words[n % len(words)] if n % 5 else None for n in range(600)]})
    few = columns(of_file(penstock, project, table, "--json"))["word"]["patterns"]
    assert few == [
        {"pattern": "AA-99", "rows": 240},
        {"pattern": "", "rows": 80},
        {"pattern": "A" * 50, "rows": 80},
        {"pattern": "🛢 9", "rows": 80},
    ]
    monkeypatch.setattr("penstock.service.measures._DICTIONARY", 0)
    assert columns(of_file(penstock, project, table, "--json"))["word"]["patterns"] == few


# ---------------------------------------------------------------- nodes


def test_a_node_is_profiled_as_it_stands_and_nothing_is_written(penstock: Callable[..., Said], project: Path) -> None:
    said = penstock("profile", FILE, "dear", "--json")
    assert columns(said)["doubled"]["max"] == "5.00"
    assert said.json["rows"] == 2
    assert said.json["rejected"] == [{"node": "raw", "rows": 1}]
    assert not (project / "out").exists()
    assert not (project / ".penstock").exists()


def test_a_rule_that_fails_a_run_does_not_fail_a_look(penstock: Callable[..., Said], project: Path) -> None:
    text = (project / FILE).read_text(encoding="utf-8")
    ruled = text.replace("sinks:", "    rules: [{range: {column: price, max: 2, on_fail: fail}}]\nsinks:")
    (project / FILE).write_text(ruled, encoding="utf-8")
    said = penstock("profile", FILE, "dear", "--json")
    assert (said.json["rows"], said.json["rejected"][-1]) == (1, {"node": "dear.rules", "rows": 1})


def test_a_column_with_a_label_shows_no_value_in_any_form(penstock: Callable[..., Said], project: Path) -> None:
    text = (
        (project / FILE)
        .read_text(encoding="utf-8")
        .replace('price: "decimal(10,2)?"}}', 'price: "decimal(10,2)?"}}, labels: {price: [money]}')
    )
    (project / FILE).write_text(text.replace("{from: dear,", "{from: dear, allow: [money],"), encoding="utf-8")
    found = columns(penstock("profile", FILE, "dear", "--json"))
    assert found["price"].keys() == found["doubled"].keys() == {
        "name", "type", "labels", "hidden", "count", "nulls", "distinct", "distinct_is_exact", "nan", "infinite",
    }  # fmt: skip
    for form in ("text", "html", "json"):
        said = penstock("profile", FILE, "dear", "--format", form)
        assert "2.5" not in said.out
        assert "5.00" not in said.out
    shown = penstock("profile", FILE, "dear", "--allow", "money", "--json")
    assert columns(shown)["price"]["max"] == "2.50"


def test_what_cannot_be_profiled_is_told(penstock: Callable[..., Said], project: Path) -> None:
    assert penstock("profile", FILE, "--json").codes == ["CLI-132"]
    assert penstock("profile", FILE, "dear", "--path", "data/days.csv", "--json").codes == ["CLI-132"]
    assert penstock("profile", "--path", "data/days.pdf", "--json").codes == ["CLI-131"]
    assert penstock("profile", "--path", "data/gone.csv", "--json").codes == ["SRC-130"]
    (problem,) = penstock("profile", FILE, "deer", "--json").json["problems"]
    assert (problem["code"], problem["hint"]) == ("CMP-201", 'did you mean "dear"?')


def test_a_pattern_names_many_files(penstock: Callable[..., Said], project: Path) -> None:
    (project / "data" / "more.csv").write_text("day,price\n2024-02-01,1\n", encoding="utf-8")
    assert penstock("profile", "--path", "data/*.csv", "--json").json["rows"] == 5


# ---------------------------------------------------------------- forms


def test_text_is_a_table_and_lines_of_values(penstock: Callable[..., Said], project: Path) -> None:
    table = pa.table({"n": [1, 2, 3, 4], "word": ["a1", "a1", "b", None]})
    lines = of_file(penstock, project, table).out.splitlines()
    assert lines[0] == "data.parquet  4 rows, 2 columns"
    assert lines[1].split() == [
        "column",
        "type",
        "nulls",
        "distinct",
        "min",
        "median",
        "max",
        "mean",
        "stddev",
        "histogram",
    ]
    assert lines[2].split()[:9] == ["n", "int64", "0", "%", "4", "1", "2.5", "4", "2.5"]
    assert lines[3].split() == ["word", "string", "25.0", "%", "2", "a1", "b"]
    assert lines[4] == "word: length 1 to 2, 1.7 on average; most frequent a1 (2); patterns A9 (2)"


def test_a_narrow_terminal_gets_a_block_for_each_column(
    penstock: Callable[..., Said], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    values = [51.123456789012345 + n / 3 for n in range(40)]
    table = pa.table({"latitude": values, "word": ["a fairly long value of a column"] * 40})
    lines = of_file(penstock, project, table).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1:3] == ["", "latitude  float64"]
    assert lines[3].startswith("  nulls 0 %, distinct 40, min 51.1235, median ")
    assert "  most frequent a fairly long value of a column (40)" in lines


def test_people_read_six_digits_of_a_float_and_programs_all(penstock: Callable[..., Said], project: Path) -> None:
    table = pa.table({"x": [51.123456789012345, 51.123456789012345, 2.0]})
    for form in ("text", "html"):
        said = of_file(penstock, project, table, "--format", form)
        assert "51.1235" in said.out
        assert "51.12345" not in said.out
    assert columns(of_file(penstock, project, table, "--json"))["x"]["max"].startswith("51.1234567890")


class Page(HTMLParser):
    """Fails where tags are not closed as they were opened; collects tags and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_page_of_html_needs_nothing_else_and_escapes_everything(penstock: Callable[..., Said], project: Path) -> None:
    evil = "</title><script>alert(1)</script><img src=x onerror='alert(2)'>\"&\u202e\x1b[31m"
    table = pa.table({evil: [evil, evil, "&amp;"], "n": [1.5, 2.5, 9.0], "m": [3, 2, 1]})
    said = of_file(penstock, project, table, "--format", "html")
    page = Page(said.out)
    assert {"svg", "rect", "table"} <= set(page.tags) <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "div", "table", "tr", "th", "td",
        "svg", "rect", "text", "ul", "li", "b", "i", "span", "small",
    }  # fmt: skip
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "href"}]
    assert "\x1b" not in said.out
    assert "\u202e" not in said.out
    assert any("<script>alert(1)</script>" in text for text in page.texts)
    assert "-0.99" in said.out or "-0.9" in said.out  # the correlation of n and m


def test_hostile_names_stand_in_every_form(penstock: Callable[..., Said], project: Path) -> None:
    table = named_table(rows=3)
    assert list(columns(of_file(penstock, project, table, "--json"))) == ["id", *NAMES]
    assert (
        len([tag for tag in Page(of_file(penstock, project, table, "--format", "html").out).tags if tag == "section"])
        == len(NAMES) + 1
    )


# ---------------------------------------------------------------- advice

RULED = """\
pipeline: ruled
sources:
  raw:
    type: csv
    path: data/many.csv
    schema: {columns: {id: int64, "no word": string?, code: string?, price: "decimal(9,2)?", share: float64?, mail: string?}}
    labels: {mail: [pii]}
"""


def many(project: Path, rows: int = 200) -> None:
    lines = [f"{n},{'yes' if n % 2 else 'null it'},AB-{n % 7}7.x,{n % 50}.50,{n % 3}.25,m{n}@x" for n in range(rows)]
    text = "id,no word,code,price,share,mail\n" + "".join(f"{line}\n" for line in lines)
    (project / "data" / "many.csv").write_text(text, encoding="utf-8")
    (project / "ruled.yml").write_text(RULED, encoding="utf-8")


def test_rules_that_held_for_all_rows_are_advised_and_can_be_taken(
    penstock: Callable[..., Said], project: Path
) -> None:
    many(project)
    said = penstock("profile", "ruled.yml", "raw", "--advise")
    assert said.out == (
        "# true of all 200 rows; widen what may grow\n"
        "sources:\n"
        "  raw:\n"
        "    rules:\n"
        '      - not_null: ["no word", code, price, share, mail]\n'
        "      - unique: [id]\n"
        '      - in_set: {column: "no word", values: ["null it", "yes"]}\n'
        '      - in_set: {column: code, values: ["AB-07.x", "AB-17.x", "AB-27.x", "AB-37.x", "AB-47.x", "AB-57.x", "AB-67.x"]}\n'
        "      - range: {column: price, min: 0.50, max: 49.50}\n"
        "      - range: {column: share, min: 0.25, max: 2.25}\n"
        "      - unique: [mail]\n"
    ).replace('"yes"', "yes")
    (project / "ruled.yml").write_text(
        RULED + "".join(f"{line}\n" for line in said.out.splitlines()[3:]), encoding="utf-8"
    )
    assert penstock("validate", "ruled.yml").code == 0
    said = penstock("profile", "ruled.yml", "raw", "--json")
    assert (said.json["rows"], said.json["rejected"], said.json["advice"]) == (200, [], [])


def test_a_text_of_one_form_is_advised_as_a_pattern(penstock: Callable[..., Said], project: Path) -> None:
    said = of_file(penstock, project, pa.table({"code": [f"AB-{n:03d}.x" for n in range(150)]}), "--advise")
    assert said.out.splitlines()[1:] == [
        "sources:",
        "  file:",
        "    rules:",
        "      - not_null: [code]",
        "      - unique: [code]",
        r'      - pattern: {column: code, pattern: "\\p{L}{2}-\\p{N}{3}\\.\\p{L}"}',
    ]


def test_few_rows_and_new_ones_alone_suggest_less(penstock: Callable[..., Said], project: Path) -> None:
    many(project, rows=99)
    assert (
        penstock("profile", "ruled.yml", "raw", "--advise").out == "# 99 rows suggest no rule that is not there yet\n"
    )
    many(project)
    (project / "ruled.yml").write_text(RULED + "    incremental: files\n", encoding="utf-8")
    advice = penstock("profile", "ruled.yml", "raw", "--json").json["advice"]
    assert "unique" not in {item["rule"] for item in advice}
