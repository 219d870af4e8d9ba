"""What a rule about rows gets, and what it gives. A rule is one file: parameters, descriptor, ``make(params, scope)``.

``make`` looks at the schema that comes in, and says for each reason which rows violate the rule. It adds no node: all
rules of one place become one Check. It is a pure function: it sees no file, no clock and no driver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from penstock.steps import api

if TYPE_CHECKING:
    from sqlglot import exp

    from penstock.errors import Location


@dataclass(frozen=True, slots=True)
class Violation:
    """One reason. ``violated`` true means that the row violates the rule, null and false that it does not; it holds no
    window function (``Scope.mark``). ``message`` is a SQL text expression over the row, which shows values of ``column``
    and of no other: a labelled column hides what is said of it.
    """

    violated: exp.Expr
    message: exp.Expr
    column: str | None = None
    at: Location | None = None


class Scope(api.Scope, Protocol):
    """One rule's view of the graph under construction: that of a step, over the rows that the rule is about."""

    def mark(self, value: exp.Expr) -> exp.Column:
        """A column that holds the value for the rules of this place only; it may look at other rows by a window."""
        ...
