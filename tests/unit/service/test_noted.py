"""Warnings of rules that let rows pass."""

from __future__ import annotations

import pytest
from sqlglot import exp

from penstock.graph import Graph
from penstock.graph.nodes import Check, Note, Read
from penstock.ledger.api import NodeBalance
from penstock.service.noted import warnings_of_rules


@pytest.mark.parametrize(("rows", "words"), [(1, "1 row violates"), (1386, "1,386 rows violate")])
def test_rows_are_counted_as_the_balance_counts_them(rows: int, words: str) -> None:
    check = Check("good.rules", input="raw", causes=(), notes=(Note("plausible", exp.true(), "warn"),))
    entry = NodeBalance("good.rules", "check", {"raw": 2000}, 2000, noted={"plausible": rows})
    (problem,) = warnings_of_rules(Graph((Read("raw", source="raw"), check)), [entry])
    assert (problem.code, problem.message) == ("RUN-116", f'{words} the rule "plausible" of "good.rules"')
