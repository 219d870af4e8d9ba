"""What people read at 80 columns: nothing wider, nothing torn, and no column that says nothing."""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text

from penstock.cli.render.hanging import Hanging
from penstock.cli.render.quality import _table
from penstock.service.quality import RuleScore
from penstock.structs import replace

RULE = RuleScore("not_null", "not_null", "completeness", 1, "reject", 1750, 193, {}, None, 0.8897)


def _shown(item: object, width: int = 80) -> list[str]:
    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None).print(item)
    return [line.rstrip() for line in buffer.getvalue().splitlines()]


def test_rules_are_told_without_columns_that_say_nothing() -> None:
    lines = _shown(_table((RULE, replace(RULE, rule="referential", dimension="consistency"))))
    assert lines[0].split() == ["rule", "dimension", "on_fail", "rows", "violating", "score"]
    assert lines[1].split() == ["not_null", "completeness", "reject", "1,750", "193", "88.97", "%"]


def test_a_column_that_one_rule_has_is_there_for_all() -> None:
    others = (
        (replace(RULE, weight=2), "weight"),
        (replace(RULE, history=(1, 0.5)), "before"),
        (replace(RULE, said="there are 3 rows"), "found"),
    )
    for other, title in others:
        table = _table((RULE, other))
        assert title in _shown(table)[0].split()
        assert {len(column._cells) for column in table.columns} == {2}


def test_what_does_not_fit_a_line_hangs_under_it() -> None:
    line = Text("  all decided by customers.id, orders.customer, orders.price")
    assert _shown(Hanging(line, indent=6), 40) == [
        "  all decided by customers.id,",
        "      orders.customer, orders.price",
    ]
    assert _shown(Hanging(line), 80) == [line.plain]
