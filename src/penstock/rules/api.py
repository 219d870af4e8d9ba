"""What a rule gets, and what it gives. A rule is one file: parameters, descriptor, ``make(params, scope)``.

``make`` looks at the schema that comes in, and says for each reason which rows violate the rule (a sequence of
``Violation``), or what is measured of all of them and what of that violates it (one ``TableViolation``). It adds no node for
that: all rules of one place become one Check. It is a pure function: it sees no file, no clock and no driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from penstock.steps import api
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlglot import exp

    from penstock.errors import Location
    from penstock.graph.nodes import Baseline, Column


class Violation(Frozen):
    """One reason. ``violated`` true means that the row violates the rule, null and false that it does not; it holds no
    window function (``Scope.mark``). ``message`` is a SQL text expression over the row, which shows values of ``column``
    and of no other: a labelled column hides what is said of it.
    """

    violated: exp.Expr
    message: exp.Expr
    column: str | None = None
    at: Location | None = None


class TableViolation(Frozen):
    """What all rows together violate. ``measures`` are aggregates over them, numbers, each under the metric's name; an empty
    input has them too. ``violated`` and ``message``, a SQL text expression, name these as columns, and columns of the
    node ``beside``, which has one row, by ``nodes.OTHER``. ``columns`` are those of which the message tells: a labelled one
    hides it. ``baselines`` say which measures are compared with their history; what that sets them is named by
    ``graph.history.lowest``, ``highest`` and ``told``. ``aging``: its one measure is the age of the newest value of its one
    column (``nodes.TableRule``).
    """

    measures: tuple[Column, ...]
    violated: exp.Expr
    message: exp.Expr
    columns: tuple[str, ...] = ()
    beside: str | None = None
    baselines: tuple[Baseline, ...] = ()
    aging: bool = False


class Scope(api.Scope, Protocol):
    """One rule's view of the graph under construction: that of a step, over the rows that the rule is about."""

    def mark(self, value: exp.Expr) -> exp.Column:
        """A column that holds the value for the rules of this place only; it may look at other rows by a window."""
        ...

    def known(self, columns: Sequence[exp.Column], node: str, others: Sequence[exp.Column]) -> exp.Column:
        """A column, for the rules of this place only, that is true where the node has a row with these values in its
        columns ``others``, else false.
        """
        ...
