"""The nodes whose account needs more than rows out: joins (rows without a partner, per side) and explode (empty lists).

Two devices, both a few nanoseconds per row. A side's unmatched rows are kept by an outer join and dropped by a tagged
filter: what the filter drops is their number. Rows that stay must not be dropped, so they are doubled and the doubles
are dropped instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.engines.duckdb.profile import tag_condition
from penstock.engines.duckdb.sampling import ROWS, handed_over
from penstock.graph.select import counted_columns, measured_columns, projections, to_select, violated
from penstock.structs import Frozen, field, replace
from penstock.trees import call, column, identifier, is_not_null, is_null, relation, struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.graph.nodes import Check, Explode, Join

# A document's column may have any name; these are not expected in it.
_LEFT, _RIGHT, _ONCE = "penstock left", "penstock right", "penstock once"
_INNER: Final = "penstock_rows"

Difference = tuple[str, str]  # rows of the first tag minus rows of the second


class Counted(Frozen):
    """A query and what its tags tell: rows out, rows without a partner by input id, rows with an empty list."""

    query: exp.Query
    out: str | None = None
    unmatched: Mapping[str, Difference] = field(default_factory=dict)
    empty: Difference | None = None
    extra: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)  # by rule, the sequence that counts its rows
    observer: str | None = None  # the function that takes the rows which are measured
    sampler: str | None = None  # the function that takes the first rows which notes speak of

    def noted_in(self, rows: Mapping[str, int]) -> dict[str, int]:
        return {rule: rows[sequence] for rule, sequence in self.notes.items()}

    @property
    def tags(self) -> tuple[str, ...]:
        return (*((self.out,) if self.out else ()), *self.extra)

    def unmatched_in(self, rows: Mapping[str, int]) -> dict[str, int]:
        return {side: rows[more] - rows[less] for side, (more, less) in self.unmatched.items()}

    def empty_in(self, rows: Mapping[str, int]) -> int:
        return rows[self.empty[0]] - rows[self.empty[1]] if self.empty else 0


def tapped(query: exp.Query, tag: str) -> Counted:
    """The query with a filter above it that lets every row pass and counts it."""
    return Counted(_where(query, None, tag), out=tag)


def _where(query: exp.Query, condition: exp.Expr | None, tag: str) -> exp.Select:
    rows = exp.select("*").from_(query.subquery(identifier(_INNER), copy=False))
    return rows.where(tag_condition(condition, tag), copy=False)


def _doubled(query: exp.Query, condition: exp.Expr, tag: str) -> exp.Select:
    """The same rows; under ``{tag}_more`` are counted those rows and, once more, each that meets the condition; under
    ``tag`` the rows themselves.
    """
    twice = exp.Case(
        ifs=[exp.If(this=condition, true=exp.Array(expressions=[exp.true(), exp.false()]))],
        default=exp.Array(expressions=[exp.true()]),
    )
    once = exp.alias_(call("unnest", twice), identifier(_ONCE))
    doubled = exp.select("*", once).from_(query.subquery(identifier(_INNER), copy=False))
    single = _where(_where(doubled, None, f"{tag}_more"), column(_ONCE), tag)
    return _without(single, (_ONCE,))


def _without(query: exp.Query, names: tuple[str, ...]) -> exp.Select:
    star = exp.Star(except_=[identifier(name) for name in names])
    return exp.select(star).from_(query.subquery(identifier(_INNER), copy=False))


def _missing(name: str) -> exp.Expr:
    return is_null(column(name))


def _there(name: str) -> exp.Expr:
    """True, or null where there is no value."""
    return exp.Case(ifs=[exp.If(this=is_not_null(column(name)), true=exp.true())])


# ---------------------------------------------------------------- checks


def counted_check(node: Check, tag: str) -> Counted:
    """The node's rows. A row that a note speaks of draws a number from the note's sequence: the numbers drawn are those
    rows, and a row that it does not speak of costs what asking costs. Those with the first numbers are handed to a
    function, to be shown; what all rows are measured by is handed to another one. Each lets every row pass.
    """
    condition: exp.Expr = exp.Not(this=violated(node.causes))
    notes: dict[str, str] = {}
    sampler = f"penstock_{tag}_sample"
    for place, note in enumerate(node.notes):
        notes[note.code] = f"penstock_{tag}_{place}"
        number = call("nextval", exp.Literal.string(notes[note.code]))
        is_early = exp.LTE(this=number, expression=exp.Literal.number(ROWS))
        drawn = exp.Case(ifs=[exp.If(this=is_early, true=handed_over(node, note, sampler))], default=exp.true())
        passes = exp.Case(ifs=[exp.If(this=violated([note]), true=drawn)], default=exp.true())
        # One inside the other: every row is asked about, whatever becomes of it.
        condition = exp.Case(ifs=[exp.If(this=passes, true=exp.Paren(this=condition))])
    observer = f"penstock_{tag}_rows" if node.table_rules else None
    if observer is not None:
        counted = counted_columns(node)
        values = {name: _there(name) if name in counted else column(name) for name in measured_columns(node)}
        taken = call(observer, struct(values or {"row": exp.true()}))
        condition = exp.Case(ifs=[exp.If(this=taken, true=exp.Paren(this=condition))])
    select = exp.select("*").from_(relation(node.input))
    query = select.where(tag_condition(condition, tag), copy=False)
    return Counted(query, out=tag, notes=notes, observer=observer, sampler=sampler if notes else None)


# ---------------------------------------------------------------- joins


def counted_join(node: Join, tag: str) -> Counted:
    """The node's rows. Unmatched are rows of a side for which the condition held with no row of the other; a semi or
    anti join counts its left side only, an as-of join likewise, a cross join none.
    """
    match node.how:
        case "cross":
            return tapped(to_select(node), tag)
        case "semi" | "anti":
            return tapped(to_select(node), tag)
        case "asof" | "asof_left":
            return _counted_asof(node, tag)
        case "inner" | "left" | "right" | "full":
            return _counted_outer(node, tag)


def _marked(node: Join, *, side: str) -> exp.Select:
    """The join as an outer one, with a mark for each of its sides that is null where that side has no row."""
    left = exp.select("*", exp.alias_(exp.true(), identifier(_LEFT))).from_(relation(node.left))
    right = exp.select("*", exp.alias_(exp.true(), identifier(_RIGHT))).from_(relation(node.right))
    join = exp.Join(
        this=right.subquery(identifier(node.right_alias)), side=side, on=node.on.copy() if node.on is not None else None
    )
    if node.how in {"asof", "asof_left"}:
        join.set("method", "ASOF")
    marks = [column(_LEFT, node.left_alias), column(_RIGHT, node.right_alias)]
    select = exp.select(*projections(node.columns), *marks).from_(left.subquery(identifier(node.left_alias)))
    select.append("joins", join)
    return select


def _counted_asof(node: Join, tag: str) -> Counted:
    rows = _where(_marked(node, side="LEFT"), None, f"{tag}_all")
    if node.how == "asof":
        kept = _where(rows, exp.Not(this=_missing(_RIGHT)), tag)
        unmatched = {node.left: (f"{tag}_all", tag)}
        extra: tuple[str, ...] = (f"{tag}_all",)
    else:
        kept = _doubled(rows, _missing(_RIGHT), tag)
        unmatched, extra = {node.left: (f"{tag}_more", tag)}, (f"{tag}_all", f"{tag}_more")
    return Counted(_without(kept, (_LEFT, _RIGHT)), tag, unmatched, extra=extra)


def _counted_outer(node: Join, tag: str) -> Counted:
    every = f"{tag}_all"
    rows: exp.Query = _where(_marked(node, side="FULL"), None, every)
    unmatched: dict[str, Difference] = {}
    extra = [every]
    last = every
    # Sides that the join does not keep: their unmatched rows are dropped.
    for kept_by, mark, other in (({"left", "full"}, _RIGHT, node.left), ({"right", "full"}, _LEFT, node.right)):
        if node.how in kept_by:
            continue
        below, last = last, f"{tag}_{'r' if mark == _RIGHT else 'l'}"
        rows = _where(rows, exp.Not(this=_missing(mark)), last)
        unmatched[other] = (below, last)
        extra.append(last)
    # Sides that it keeps: doubled, and the doubles dropped.
    for kept_by, mark, other in (({"left", "full"}, _RIGHT, node.left), ({"right", "full"}, _LEFT, node.right)):
        if node.how not in kept_by:
            continue
        last = f"{tag}_{'kr' if mark == _RIGHT else 'kl'}"
        rows = _doubled(rows, _missing(mark), last)
        unmatched[other] = (f"{last}_more", last)
        extra += [f"{last}_more", last]
    out = extra.pop(extra.index(last))
    return Counted(_without(rows, (_LEFT, _RIGHT)), out, unmatched, extra=tuple(extra))


# ---------------------------------------------------------------- explode


def counted_explode(node: Explode, tag: str) -> Counted:
    """The node's rows; empty are input rows whose list is null or has no element."""
    length = call("len", node.value)
    some = exp.GT(this=length, expression=exp.Literal.number(0))
    rows = exp.select("*").from_(relation(node.input))
    if node.keep_empty:
        none = exp.Not(this=exp.func("coalesce", some, exp.false()))
        below: exp.Query = _doubled(rows, none, f"{tag}_in")
        empty, extra = (f"{tag}_in_more", f"{tag}_in"), (f"{tag}_in_more", f"{tag}_in")
    else:
        below = _where(_where(rows, None, f"{tag}_in"), some, f"{tag}_some")
        empty, extra = (f"{tag}_in", f"{tag}_some"), (f"{tag}_in", f"{tag}_some")
    source = identifier(f"{node.input}")
    exploded = to_select(replace(node))
    exploded.set("from_", exp.From(this=below.subquery(source)))
    counted = tapped(exploded, tag)
    return replace(counted, empty=empty, extra=extra)
