"""What came too late for a cursor is told once for each value, until it has been read again."""

from __future__ import annotations

from penstock.graph import Graph
from penstock.graph.nodes import Cursor, Read
from penstock.ledger.api import Range
from penstock.service.late import late_for_cursors

GRAPH = Graph((Read("t", source="t", cursor=Cursor("at", ("k",), row=("at", "k"))),))
LATE = {
    "v": 1,
    "cursor": {"by": ["at", "k"], "value": "5", "seen": [], "behind": {"value": "4", "rows": 3000}},
    "at": {},
}


def begun_at(value: str, *, aside: bool = True) -> Range:
    after = {"v": 1, "cursor": {"by": ["at", "k"], "value": value, "cut": True}, "at": {}}
    return Range("t", "0", after, {}, aside=aside)


def test_each_value_is_told_once() -> None:
    (problem,) = late_for_cursors(GRAPH, [("t", LATE), ("t", LATE), ("t", {"v": 1})])
    assert (problem.code, problem.severity) == ("RUN-137", "warning")
    assert problem.message.startswith('at least 3,000 rows of "t" came too late for its cursor, with at = 4')


def test_what_was_read_again_is_not_told() -> None:
    assert not list(late_for_cursors(GRAPH, [("t", LATE)], [begun_at("4")]))


def test_what_was_read_otherwise_is_told() -> None:
    for other in (begun_at("4", aside=False), begun_at("5"), Range("t", "0", None, {}, aside=True)):
        assert list(late_for_cursors(GRAPH, [("t", LATE)], [other]))
