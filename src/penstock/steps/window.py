"""Computes columns over the rows around each row: numbers, ranks, neighbours, running and moving aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from sqlglot import exp

from penstock.fields import ColumnList, ColumnMap, Name, SortTexts
from penstock.graph.nodes import Column, Project
from penstock.graph.select import order as ordered
from penstock.registry import Descriptor
from penstock.steps.aggregates import innermost, is_aggregate, is_window_only, name_of, outermost, settled
from penstock.steps.collect import each, together
from penstock.steps.frames import Frame, check_frame, parse_frame
from penstock.steps.params import StepParams
from penstock.steps.ties import tie_break
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from penstock.steps.api import Scope

_RANKS = (exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist)
_FRAMED = (exp.FirstValue, exp.LastValue, exp.NthValue)


class WindowParams(StepParams):
    """The step supplies OVER (...) to every function that is written without one."""

    partition_by: ColumnList = Field(default=(), description="What makes a partition: column names, or expressions.")
    order_by: SortTexts = Field(default=(), description="The order within a partition, such as `day` or `day desc`.")
    frame: Name | None = Field(
        default=None,
        description="The rows around each row, such as `6 rows preceding` or `7 days preceding` (that day included).",
    )
    columns: ColumnMap = Field(description="new: an expression with window functions or aggregates.")


class _Over(Frozen):
    """What the step supplies."""

    partition: tuple[exp.Expr, ...]
    order: tuple[exp.Ordered, ...]
    frame: Frame | None

    def around(self, function: exp.Expr) -> exp.Window:
        framed = self.frame is not None and not is_window_only(innermost(function))
        framed |= self.frame is not None and isinstance(innermost(function), _FRAMED)
        return exp.Window(
            this=function,
            partition_by=[key.copy() for key in self.partition],
            order=exp.Order(expressions=[key.copy() for key in self.order]) if self.order else None,
            spec=self.frame.spec() if framed and self.frame is not None else None,
        )


def make(params: WindowParams, scope: Scope) -> str:
    """One Project: all columns that come in, and the new ones; in = out."""
    with together() as part:
        with part():
            keys = scope.sort_keys(params.order_by)
        with part():
            frame = parse_frame(params.frame, scope) if params.frame is not None else None
        with part():
            partition = tuple(item.value for item in scope.expressions(params.partition_by))
        with part():
            columns = scope.expressions(params.columns, allows="window")
    if frame is not None and params.frame is not None:
        check_frame(frame, keys, text=params.frame, scope=scope)
    over = _Over(partition, tuple(ordered(key) for key in keys), frame)
    computed = each(columns, lambda item: replace(item, value=_windowed(item, over, scope)))
    return scope.add(Project(scope.node_id(), input=scope.input, columns=(*scope.carried(), *computed)))


def _windowed(item: Column, over: _Over, scope: Scope) -> exp.Expr:
    """The value with OVER where it was missing, and with nothing left to chance."""
    tree = exp.Paren(this=item.value.copy())
    bare = [node for node in tree.walk() if is_window_only(node) or is_aggregate(node)]
    for node in bare:
        call = outermost(node)
        if not isinstance(call.parent, exp.Window) or call.parent.this is not call:
            call.replace(over.around(call.copy()))
    for window in list(tree.find_all(exp.Window)):
        _settle(window, item, scope)
    if tree.find(exp.Window) is None and scope.type_of(item.value) is not None:
        scope.fail(
            "CMP-293",
            f'"{item.name}" looks at no other row',
            at=item.at,
            hint="use the step `derive`, or a window function such as lag(…) or avg(…)",
        )
    return tree.unnest()


def _settle(window: exp.Window, item: Column, scope: Scope) -> None:
    """Makes the value the same in every run where the order leaves rows equal."""
    function = innermost(window.this)
    order = window.args.get("order")
    keys: list[exp.Ordered] = list(order.expressions) if order is not None else []
    if is_window_only(function) and not keys:
        scope.fail("CMP-289", f"{name_of(function)} needs `order_by`", at=item.at, hint="add `order_by`")
    spec = window.args.get("spec")
    by_row = spec is not None and spec.text("kind").upper() == "ROWS"
    if _counts_equals(function) or not keys:
        ties: tuple[exp.Ordered, ...] = ()
    else:
        ties = tie_break(scope.schema, [*window.args.get("partition_by", ()), *(key.this for key in keys)])
    if isinstance(function, _FRAMED) and spec is not None and not by_row:
        # Along a distance the order has one key: the tie is broken inside the call.
        last = "offset" if isinstance(function, exp.NthValue) else "this"
        inner = exp.Order(this=function.args[last], expressions=[key.copy() for key in (*keys, *ties)])
        function.set(last, inner)
    elif (is_window_only(function) or by_row) and order is not None:
        order.set("expressions", [*keys, *ties])
    if not is_window_only(function):
        window.set("this", settled(window.this, scope, item.at, [*keys, *ties]))


def _counts_equals(function: exp.Expr) -> bool:
    """Whether rows that the order leaves equal are equal to it; a tie-break would take that from it."""
    return isinstance(function, _RANKS) or (isinstance(function, exp.Anonymous) and is_window_only(function))


WINDOW = Descriptor(
    name="window",
    group="steps",
    summary="Adds columns that look at the rows around each row.",
    params=WindowParams,
    make=make,
    example="""window:
  partition_by: [crude]
  order_by: price_date
  frame: 6 days preceding
  columns: {average: avg(price), before: lag(price), number: row_number()}""",
    notes=(
        "A function written without OVER gets the step's; one with its own OVER (…) keeps it.",
        "A frame includes both its ends: `6 days preceding` is seven days. lag, lead, ranks, row_number take no frame.",
        "Preceding and following are meant along the order: with `day desc` the preceding days are the later ones.",
        "Without `frame` an aggregate runs from the first row to the current one and its equals.",
        "Without `order_by` an aggregate looks at the whole partition.",
        "Rows that the order leaves equal are told apart by their other columns, the same way in every run.",
        "Ranks count rows that the order leaves equal as equal.",
    ),
)
