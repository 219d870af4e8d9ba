"""``rejects try``: a repair is tried, and nothing is written; what is wrong with it is told where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from shop_of_rejects import COMMA, FILE, groups, sold

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said


def test_a_repair_is_tried_and_nothing_is_written(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    before = groups(penstock)
    tried = penstock("rejects", "try", FILE, "raw/bad_value/price", "--set", COMMA, "--json").json
    assert (tried["rows"], tried["saved"], tried["rejected"], tried["sinks"]) == (3, 1, 2, {"out": 1})
    assert sorted((one["cause"], one["column"]) for one in tried["by_cause"]) == [
        ("bad_value", "at"),
        ("bad_value", "price"),
    ]
    assert tried["examples"][0]["row"] == {"id": "3", "shop": "b", "price": "many", "at": "2024-01-03"}
    more = [COMMA, "at = case when at = 'yesterday' then '2024-01-05' else at end"]
    told = penstock("rejects", "try", FILE, "raw/bad_value/price", "--set", more[0], "--set", more[1]).out
    assert "  at data/sold-1.csv, record" in told
    assert told.splitlines()[:2] == ["raw/bad_value/price: 2 of 3 rows would be saved", "  2 rows to out"]
    assert (groups(penstock), len(sold(shop))) == (before, 1)
    assert len(penstock("runs", "list", "--json").json["runs"]) == 1


def test_rows_that_a_filter_drops_then_are_told(penstock: Callable[..., Said], shop: Path) -> None:
    penstock("run", FILE, "-q")
    tried = penstock(
        "rejects", "try", FILE, "raw/bad_value/price", "--set", COMMA, "--set", "shop = 'closed'", "--json"
    )
    assert (tried.json["filtered"], tried.json["sinks"]) == (1, {"out": 0})


@pytest.mark.parametrize(
    ("repair", "code", "says"),
    [
        ("price", "CLI-114", "replace(price"),
        ("price = ", "CLI-114", "replace(price"),
        ("prise = 1", "CMP-203", 'did you mean "price"?'),
        ("price = replace(prise, ',', '.')", "CMP-203", 'did you mean "price"?'),
        ("price = replace(price, ',')", "CMP-206", ""),
        ("price = sum(price)", "CMP-208", ""),
        ("price = (select 1)", "CMP-240", ""),
        ("price = 1 +", "CMP-207", ""),
    ],
)
def test_a_repair_that_is_wrong_is_a_located_problem(
    penstock: Callable[..., Said], shop: Path, repair: str, code: str, says: str
) -> None:
    penstock("run", FILE, "-q")
    for command in ("try", "replay"):
        said = penstock("rejects", command, FILE, "raw/bad_value/price", "--set", repair, "--json")
        (problem,) = said.json["problems"]
        assert problem["code"] == code
        assert says in (problem["hint"] or "")
        assert problem["file"] == (None if code == "CLI-114" else "--set") or repair.startswith("prise")
    assert groups(penstock)["raw/bad_value/price"] == 3


@pytest.mark.parametrize(
    ("repair", "code", "at", "hint"),
    [
        ("prize = 1", "CMP-203", 1, 'did you mean "price"?'),
        ("price = many", "CMP-203", 9, "a text is written 'many'"),
        ("price = abs(id, (price", "CMP-207", None, None),
        ("new = shop_name", "CMP-203", 1, None),
    ],
)
def test_a_mistake_in_a_repair_is_told_where_it_stands_and_not_of_yaml(
    repair: str, code: str, at: int | None, hint: str | None, *, penstock: Callable[..., Said], shop: Path
) -> None:
    if not (shop / ".penstock").exists():
        penstock("run", FILE, "-q")
    said = penstock("rejects", "try", FILE, "raw/bad_value/price", "--set", repair, "--json")
    (problem, *_) = said.json["problems"]
    assert (problem["code"], problem["file"], problem["hint"]) == (code, "--set", hint)
    assert at in {None, problem["column"]}
    assert "repaired" not in said.out


def test_a_crash_point_that_nothing_passes_is_told(
    penstock: Callable[..., Said], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_FAULTS", "sqlite.comitted=raise")
    said = penstock("run", FILE)
    assert said.code == 0
    assert "FLT-121" in said.err
    assert 'did you mean "sqlite.committed"?' in said.err
