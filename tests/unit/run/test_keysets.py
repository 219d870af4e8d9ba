"""Which cursors may say by further columns how far they have come, and what has come too late."""

from __future__ import annotations

import pytest

from penstock.graph.keyset import Key
from penstock.graph.nodes import Cursor, Read
from penstock.graph.span import Mark
from penstock.run.keysets import Behind, behind, behind_of, key_of, told_by, why_no_key
from penstock.types import Field, Schema, parse_type

NAMES = ("at", "k", "doc", "mail")
SCHEMA = Schema(
    (
        Field("at", parse_type("timestamp")[0]),
        Field("k", parse_type("int64")[0]),
        Field("doc", parse_type("json")[0]),
        Field("mail", parse_type("string")[0], labels=frozenset({"pii"})),
    )
)
KEY = Key(("k",), ("int64",), ("7",), 5, "99")


def read_of(*columns: str) -> Read:
    return Read("t", source="t", schema=SCHEMA, cursor=Cursor("at", columns or NAMES, row=NAMES if columns else ()))


def test_columns_with_an_order_and_without_labels_say_how_far_it_is() -> None:
    assert why_no_key(read_of("k")) is None


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ((), "Its cursor has no further columns."),
        (("k", "doc"), "Of its further columns doc has no order."),
        (
            ("k", "mail"),
            "Of its further columns mail carries a label, and its values are kept out of positions.",
        ),
    ],
)
def test_what_keeps_a_cursor_from_saying_it(columns: tuple[str, ...], said: str) -> None:
    assert why_no_key(read_of(*columns)) == said


def test_a_key_is_read_as_it_was_told() -> None:
    assert key_of(read_of("k"), ["k"], told_by(KEY)) == KEY


@pytest.mark.parametrize(
    ("rows", "total", "found"),
    [(5, "99", None), (6, "100", Behind("1", 1)), (8, "1", Behind("1", 3)), (5, "98", Behind("1", 1)), (4, "9", None)],
)
def test_more_rows_or_others_came_too_late(rows: int, total: str, found: Behind | None) -> None:
    assert behind(Mark("1", key=KEY), {"key_rows": rows, "key_total": total}) == found


def test_what_a_position_tells_of_late_rows() -> None:
    assert behind_of({"v": 1, "cursor": {"behind": {"value": "1", "rows": 3}}, "at": {}}) == Behind("1", 3)
    assert behind_of({"v": 1, "cursor": {}, "at": {}}) is None
    assert behind_of({}) is None
