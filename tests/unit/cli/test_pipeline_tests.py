"""``penstock test``: tests that stand in a document, run over rows in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

pytestmark = pytest.mark.slow

SHOP = """\
pipeline: shop
params:
  least: {type: int64, default: 0}
sources:
  orders:
    type: csv
    path: nowhere/orders.csv
    schema:
      columns: {id: int64, day: date, customer: string?, price: "decimal(10,2)?", tags: "list<string>?", extra: json?}
  rates:
    type: postgres
    connection: "postgresql://reader:${secret.NOBODY_HAS_IT}@localhost:1/rates"
    table: rates
    schema: {columns: {day: date, rate: float64}}
transforms:
  cleaned:
    from: orders
    steps:
      - filter: price > ${param.least} and day is not null
      - derive:
          size: "case when price >= 100 then 'large' when price >= 10 then (case when customer is null then 'nobody' else 'medium' end) else 'small' end"
          age: current_date - day
    rules:
      - not_null: [customer]
      - range: {column: price, max: 1000, on_fail: fail}
      - pattern: {column: customer, pattern: "[a-z]+", on_fail: warn}
  converted:
    from: cleaned
    steps:
      - join: {to: rates, kind: left, "on": [day], add: [rate]}
      - derive: {euros: price * rate}
      - sort: euros desc
  totals:
    sql: select size, count(*) as n, sum(case when euros is null then 0 else euros end) as total from stored where price > 1 group by size
sinks:
  stored: {from: converted, type: sqlite, path: shop.db, table: orders, mode: merge, keys: [id]}
  sums: {from: totals, type: csv, path: out/sums.csv, mode: overwrite}
run: {threads: 1, memory: 256 MiB}
tests:
"""
LINE = SHOP.count("\n") + 1  # of the first test
SIZES = """\
  - name: sizes
    at: 2024-01-10T00:00:00Z
    given:
      orders:
        - {id: 1, day: 2024-01-02, customer: ann, price: 100.00, tags: [a, b], extra: {b: 1, a: 2}}
        - {id: 2, day: 2024-01-02, customer: bob, price: 9.99}
        - {id: 3, day: 2024-01-02, customer: null, price: 10}
        - {id: 4, day: null, customer: cid, price: 10}
        - {id: 5, day: 2024-01-02, customer: cid, price: 0}
      rates: [{day: 2024-01-02, rate: 0.1}]
    expect:
      orders: {count: 4, rejects: [{cause: null_value, column: day}]}
      cleaned:
        rows:
          - {id: 2, size: small, age: 8}
          - {id: 1, size: large, age: 8, tags: [a, b], extra: '{"a": 2, "b": 1}'}
        rejects: [{cause: not_null, column: customer, row: {id: 3, size: nobody}}]
      converted: [{id: 1, euros: 10}, {id: 2, euros: 0.999}]
      cleaned.filter: {count: 3}
      totals: [{size: large, n: 1, total: 10}, {size: small, n: 1, total: 0.999}]
      sums: {count: 2}
"""


@pytest.fixture
def shop(project: Path, penstock: Callable[..., Said]) -> Callable[..., Said]:
    """``shop(tests, *arguments)``: ``penstock test`` over the shop with these tests."""

    def call(tests: str, *arguments: str) -> Said:
        (project / "shop.yml").write_text(SHOP + tests, encoding="utf-8")
        return penstock("test", "shop.yml", *arguments)

    return call


def differences(said: Said) -> list[dict[str, Any]]:
    return [one for test in said.json["pipelines"][0]["tests"] for one in test["differences"]]


def test_what_is_expected_is_found_and_nothing_is_touched(shop: Callable[..., Said], project: Path) -> None:
    before = {path.name for path in project.iterdir()}
    said = shop(SIZES)
    assert (said.code, said.out) == (0, "passed  sizes\n1 passed\n")
    assert {path.name for path in project.iterdir()} == before | {"shop.yml"}


def test_rows_are_missing_unexpected_or_have_other_values(shop: Callable[..., Said]) -> None:
    tests = """\
  - name: wrong
    given: {orders: [{id: 1, day: 2024-01-02, customer: ann, price: 20}, {id: 2, day: 2024-01-02, customer: bob, price: 200}]}
    expect:
      cleaned: [{id: 1, size: large}, {id: 7, size: tiny}]
      stored: {count: 3, rejects: [{cause: ambiguous_key}]}
"""
    said = shop(tests, "--json")
    assert said.code == 1
    assert said.json["passed"] is False
    found = [(one["node"], one["what"], one["expected"], one["found"], one["columns"]) for one in differences(said)]
    assert found == [
        ("cleaned", "row", {"id": 1, "size": "large"}, {"id": 1, "size": "medium"}, ["size"]),
        ("cleaned", "row", {"id": 7, "size": "tiny"}, None, []),
        ("cleaned", "row", None, {"id": 2, "size": "large"}, []),
        ("stored", "count", {"count": 3}, {"count": 2}, ["count"]),
        ("stored", "reject", {"cause": "ambiguous_key"}, None, []),
    ]
    assert shop(tests).out == (
        f"FAILED  wrong  shop.yml:{LINE}:11\n"
        "  cleaned\n"
        f"    ~ differs     size: expected large, found medium  of {{id: 1}}  line {LINE + 3}\n"
        f"    - missing     {{id: 7, size: tiny}}  line {LINE + 3}\n"
        "    + unexpected  {id: 2, size: large}\n"
        "  stored\n"
        f"    ~ differs     count: expected 3, found 2  line {LINE + 4}\n"
        f"    - reject missing     {{cause: ambiguous_key}}  line {LINE + 4}\n"
        "0 passed, 1 failed\n"
    )


def test_rows_are_a_multiset_and_have_an_order_only_where_they_are_sorted(shop: Callable[..., Said]) -> None:
    given = "{orders: [{id: 1, day: 2024-01-02, customer: a, price: 1}, {id: 2, day: 2024-01-02, customer: b, price: 2}], rates: [{day: 2024-01-02, rate: 1}]}"
    swapped = "[{id: 1}, {id: 2}]"
    said = shop(
        f"  - {{name: order, given: {given}, expect: {{cleaned: {swapped}, converted: {swapped}}}}}\n", "--json"
    )
    assert [(one["node"], one["what"]) for one in differences(said)] == [("converted", "order")]
    twice = "[{id: 1}, {id: 2}, {id: 2}]"
    said = shop(f"  - {{name: often, given: {given}, expect: {{cleaned: {twice}}}}}\n", "--json")
    assert [one["expected"] for one in differences(said)] == [{"id": 2}]


def test_a_rule_that_fails_the_run_fails_a_test_that_does_not_expect_its_rejects(shop: Callable[..., Said]) -> None:
    given = "{orders: [{id: 1, day: 2024-01-02, customer: ann, price: 1001}]}"
    said = shop(f"  - {{name: dear, given: {given}, expect: {{sums: []}}}}\n", "--json")
    assert [(one["node"], one["what"], one["found"]["cause"]) for one in differences(said)] == [
        ("cleaned", "failure", "range")
    ]
    said = shop(f"  - {{name: dear, given: {given}, expect: {{cleaned: {{rows: [], rejects: [{{cause: range}}]}}}}}}\n")
    assert said.code == 0


def test_a_sink_that_is_read_has_the_given_rows_else_what_it_is_sent(shop: Callable[..., Said]) -> None:
    row = "{id: 7, day: 2024-01-01, price: 3, euros: 4, size: huge}"
    said = shop(f"  - {{name: lake, given: {{stored: [{row}]}}, expect: {{totals: [{{size: huge, total: 4}}]}}}}\n")
    assert said.code == 0, said.out


def test_a_test_has_parameters_of_its_own(shop: Callable[..., Said]) -> None:
    given = "{orders: [{id: 2, day: 2024-01-02, customer: ann, price: 20}]}"
    tests = f"  - {{name: high, params: {{least: 20}}, given: {given}, expect: {{cleaned: []}}}}\n"
    assert shop(tests + f"  - {{name: low, given: {given}, expect: {{cleaned: {{count: 1}}}}}}\n").code == 0
    said = shop(tests.replace("least", "most"), "--json")
    assert (said.code, said.codes) == (2, ["DOC-159"])
    assert said.json["problems"][0]["line"] == LINE


@pytest.mark.parametrize(
    ("test", "code", "pointed", "hint"),
    [
        ("given: {ordrs: []}, expect: {sums: []}", "CMP-201", "ordrs", 'did you mean "orders"?'),
        ("given: {cleaned: []}, expect: {sums: []}", "CMP-380", "cleaned", None),
        ("expect: {clened: []}", "CMP-201", "clened", 'did you mean "cleaned"?'),
        ("expect: {cleaned: [{idd: 1}]}", "CMP-203", "idd", 'did you mean "id"?'),
        ("expect: {cleaned: [{id: one}]}", "CMP-258", "one", None),
        ("expect: {cleaned: [{size: 17}]}", "CMP-258", "17", "in quotes it is a text"),
        ("expect: {cleaned: [{tags: [17]}]}", "CMP-258", "[17]", None),
        ("given: {orders: [{id: 1}]}, expect: {sums: []}", "CMP-381", "{id: 1}", None),
        ("given: {rates: [{day: 2024-02-30, rate: 1}]}, expect: {sums: []}", "CMP-258", "2024-02-30", None),
        ("expect: {cleaned: {rejects: [{cause: not_nul}]}}", "CMP-382", "not_nul", 'did you mean "not_null"?'),
    ],
)
def test_wrong_nodes_columns_and_values_are_told_at_their_places(
    shop: Callable[..., Said], test: str, code: str, pointed: str, hint: str | None
) -> None:
    line = f"  - {{name: wrong, {test}}}"
    said = shop(f"{line}\n", "--json")
    (problem,) = said.json["problems"]
    assert (said.code, problem["code"], problem["line"]) == (2, code, LINE)
    assert line[problem["column"] - 1 :].startswith(pointed)
    assert hint in {None, problem["hint"]}


def test_all_that_is_wrong_with_the_tests_is_told_at_once(shop: Callable[..., Said]) -> None:
    said = shop(
        "  - {name: one, expect: {clened: [], cleaned: [{idd: 1}]}}\n  - {name: two, given: {a: []}, expect: {sums: []}}\n",
        "--json",
    )
    assert said.codes == ["CMP-201", "CMP-203", "CMP-201"]


def test_two_tests_of_one_name_are_refused(shop: Callable[..., Said]) -> None:
    said = shop("  - {name: one, expect: {sums: []}}\n" * 2, "--json")
    assert (said.codes, said.json["problems"][0]["line"]) == (["DOC-223"], LINE + 1)


def test_a_source_without_a_schema_has_the_columns_of_its_local_files(
    penstock: Callable[..., Said], project: Path
) -> None:
    document = (
        "pipeline: p\nsources: {raw: {type: csv, path: data/days.csv}}\ntransforms: {dear: {from: raw, steps: [{filter: price > 2}]}}\n"
        "tests: [{name: dear, given: {raw: [{day: a, price: 3}, {day: b, price: 1}]}, expect: {dear: [{day: a}]}}]\n"
    )
    (project / "p.yml").write_text(document, encoding="utf-8")
    assert penstock("test", "p.yml").code == 0
    far = document.replace(
        "type: csv, path: data/days.csv", "type: rest, connection: {base_url: 'http://localhost:1'}, path: /a"
    )
    (project / "p.yml").write_text(far, encoding="utf-8")
    assert penstock("test", "p.yml", "--json").codes == ["CMP-383"]


def test_a_pivot_finds_its_values_in_the_given_rows(penstock: Callable[..., Said], project: Path) -> None:
    (project / "p.yml").write_text(
        "pipeline: p\n"
        "sources: {raw: {type: csv, path: gone.csv, schema: {columns: {day: date, kind: string, n: int64}}}}\n"
        "transforms: {wide: {from: raw, steps: [{pivot: {'on': kind, by: [day], measures: {n: sum(n)}}}]}}\n"
        "tests:\n"
        "  - name: two kinds\n"
        "    given: {raw: [{day: 2024-01-01, kind: a, n: 1}, {day: 2024-01-01, kind: b, n: 2}]}\n"
        "    expect: {wide: [{day: 2024-01-01, a: 1, b: 2}]}\n",
        encoding="utf-8",
    )
    said = penstock("test", "p.yml")
    assert said.code == 0, said.out + said.err


def test_rows_hold_values_of_every_type_and_go_through_python_steps(
    penstock: Callable[..., Said], project: Path
) -> None:
    row = (
        "{a: 1, s: {x: 1, y: [a, b]}, m: {k: 2}, u: 6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f, b: 'a\\x00', i: 1 day, "
        "t: '12:30:00', f: nan, j: {k: [1, null]}}"
    )
    (project / "steps.py").write_text(
        "import pyarrow.compute as pc\n\n\ndef double(batch):\n"
        "    return batch.set_column(0, 'a', pc.multiply(batch.column(0), 2))\n",
        encoding="utf-8",
    )
    (project / "p.yml").write_text(
        "pipeline: p\n"
        "sources:\n"
        '  raw: {type: csv, path: gone.csv, schema: {columns: {a: int64, s: "struct<x: int64, y: list<string>>?", '
        'm: "map<string,int64>?", u: uuid?, b: binary?, i: interval?, t: time?, f: float64?, j: json?}}}\n'
        "transforms:\n"
        "  two:\n"
        "    from: raw\n"
        '    steps: [{select: [a]}, {python: {function: "steps:double", schema: {a: int64}}}]\n'
        "    rules: [{unique: [a]}]\n"
        "tests:\n"
        "  - name: all types\n"
        f"    given: {{raw: [{row}, {{a: 2}}, {{a: 2}}]}}\n"
        "    expect:\n"
        f"      raw: [{row}, {{a: 2}}, {{a: 2}}]\n"
        "      two: {rows: [{a: 2}], rejects: [{cause: unique, row: {a: 4}}, {cause: unique, row: {a: 4}}]}\n",
        encoding="utf-8",
    )
    said = penstock("test", "p.yml")
    assert said.code == 0, said.out + said.err


def test_data_that_ends_a_test_fails_it(penstock: Callable[..., Said], project: Path) -> None:
    (project / "p.yml").write_text(
        "pipeline: p\n"
        "sources: {raw: {type: csv, path: gone.csv, schema: {columns: {a: string}}}}\n"
        "transforms: {b: {from: raw, steps: [{derive: {b: 'a::int'}}]}}\n"
        "tests: [{name: cast, given: {raw: [{a: x}]}, expect: {b: {count: 1}}}]\n",
        encoding="utf-8",
    )
    said = penstock("test", "p.yml", "--json")
    (test,) = said.json["pipelines"][0]["tests"]
    assert (said.code, test["passed"], len(test["problems"])) == (1, False, 1)


def test_tests_are_chosen_by_a_part_of_their_names(shop: Callable[..., Said]) -> None:
    other = "  - {name: nothing comes of nothing, expect: {sums: []}}\n"
    said = shop(SIZES + other, "-k", "nothing", "--json")
    (pipeline,) = said.json["pipelines"]
    assert ([test["name"] for test in pipeline["tests"]], pipeline["left_out"]) == (["nothing comes of nothing"], 1)
    assert shop(SIZES, "-k", "nobody", "--json").codes == ["CLI-130"]


def test_a_document_without_tests_passes_and_says_so(penstock: Callable[..., Said]) -> None:
    assert penstock("test").out == "pipelines/days.yml: no tests\n0 passed\n"


# ---------------------------------------------------------------- coverage


def test_coverage_tells_what_no_test_saw(shop: Callable[..., Said]) -> None:
    said = shop(SIZES, "--coverage", "--json")
    coverage = said.json["pipelines"][0]["coverage"]
    missing = {(item["node"], item["what"], item["outcome"]) for item in coverage["missing"]}
    assert missing == {
        ("cleaned.derive", "case 2", "else"),
        ("cleaned", "range", "violated"),
        ("cleaned", "pattern", "violated"),
        ("totals.sql", "filter", "left out"),
        ("totals.sql", "case", "when euros IS NULL"),
    }
    assert {kind: coverage[kind] for kind in ("node", "rule", "filter", "case")} == {
        "node": {"seen": 7, "of": 7},
        "rule": {"seen": 4, "of": 6},
        "filter": {"seen": 3, "of": 4},
        "case": {"seen": 5, "of": 7},
    }
    assert coverage["percent"] == pytest.approx(100 * 19 / 24, abs=0.1)
    assert {item["line"] for item in coverage["missing"] if item["node"] == "cleaned.derive"} == {20}


def test_more_tests_see_more_and_too_little_fails(shop: Callable[..., Said]) -> None:
    assert shop(SIZES, "--min-coverage", "79").code == 0
    said = shop(SIZES, "--min-coverage", "80")
    assert said.code == 1
    assert "coverage 79 %" in said.out
    assert "less than the 80 % that are asked for" in said.out
    medium = "  - {name: medium, given: {orders: [{id: 1, day: 2024-01-02, customer: Ann, price: 20}]}, expect: {stored: {count: 1}}}\n"
    assert shop(SIZES + medium, "--min-coverage", "80").code == 0


def test_what_a_test_does_not_need_is_not_seen_by_it(shop: Callable[..., Said]) -> None:
    given = "{orders: [{id: 1, day: 2024-01-02, customer: ann, price: 20}]}"
    said = shop(f"  - {{name: raw, given: {given}, expect: {{orders: {{count: 1}}}}}}\n", "--coverage", "--json")
    coverage = said.json["pipelines"][0]["coverage"]
    assert [coverage[kind]["seen"] for kind in ("node", "rule", "filter", "case")] == [1, 0, 0, 0]


# ---------------------------------------------------------------- mutations

SMALL = """\
pipeline: small
sources:
  raw: {type: csv, path: gone.csv, schema: {columns: {id: int64, price: int64}}}
transforms:
  dear:
    from: raw
    steps:
      - filter: price >= 10
    rules:
      - range: {column: id, min: 1}
  cheap:
    from: raw
    steps: [{filter: price < 10}]
tests:
  - name: the bound
    given: {raw: [{id: 1, price: 10}, {id: 2, price: 9}, {id: 0, price: 11}]}
    expect: {dear: {rows: [{id: 1}], rejects: [{cause: range}]}}
"""


def test_changes_that_no_test_notices_are_told_with_their_places(penstock: Callable[..., Said], project: Path) -> None:
    (project / "small.yml").write_text(SMALL, encoding="utf-8")
    said = penstock("test", "small.yml", "--mutate", "--json")
    changes = said.json["pipelines"][0]["changes"]
    assert [(one["line"], one["before"], one["after"], one["reached"]) for one in changes["not_noticed"]] == [
        (13, "filter", "(removed)", False),
        (13, "price < 10", "price <= 10", False),
        (13, "10", "11", False),
    ]
    assert (changes["noticed"], changes["untried"], changes["percent"]) == (5, 0, 62.5)
    less = SMALL.replace("{id: 1, price: 10}, {id: 2, price: 9}", "{id: 1, price: 12}")
    (project / "small.yml").write_text(less, encoding="utf-8")
    said = penstock("test", "small.yml", "--mutate")
    assert said.code == 0
    assert "  not noticed  dear  price >= 10 -> price > 10  small.yml:8:17\n" in said.out
    assert "  not noticed  cheap  price < 10 -> price <= 10  (no test needs the node)  small.yml:13:22\n" in said.out


def test_nothing_is_changed_where_a_test_fails_or_there_is_no_time(
    penstock: Callable[..., Said], project: Path
) -> None:
    (project / "small.yml").write_text(SMALL, encoding="utf-8")
    said = penstock("test", "small.yml", "--mutate", "--seconds", "0", "--json")
    changes = said.json["pipelines"][0]["changes"]
    assert (changes["untried"], changes["percent"]) == (8, None)
    said = penstock("test", "small.yml", "--mutate", "--seconds", "0")
    assert "no change was tried, 8 more were not tried in time" in said.out
    (project / "small.yml").write_text(SMALL.replace("rows: [{id: 1}]", "rows: []"), encoding="utf-8")
    said = penstock("test", "small.yml", "--mutate", "--json")
    assert (said.code, "changes" in said.json["pipelines"][0]) == (1, False)
