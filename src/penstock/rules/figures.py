"""What several rules about all rows ask: how a figure is bounded, and how it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.graph.nodes import Column
from penstock.rules.api import TableViolation
from penstock.trees import column, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def counted(least: int | None, most: int | None) -> None:
    """Checks the bounds of a number of things. Raises ValueError, for a validator."""
    if least is None and most is None:
        raise ValueError("needs min or max")
    if least is not None and most is not None and least > most:
        raise ValueError(f"has no number between {least} and {most}")


def outside(
    name: str,
    value: exp.Expr,
    least: int | None,
    most: int | None,
    *,
    message: exp.Expr,
    columns: Sequence[str] = (),
) -> TableViolation:
    """A figure that is no less than ``least`` and no more than ``most``; the message is followed by what it should be."""
    parts: list[exp.Expr] = []
    words: list[str] = []
    if least is not None:
        parts.append(exp.LT(this=column(name), expression=exp.Literal.number(least)))
        words.append(f"at least {least}")
    if most is not None:
        parts.append(exp.GT(this=column(name), expression=exp.Literal.number(most)))
        words.append(f"at most {most}")
    asked = exp.Literal.string(f", and should be {' and '.join(words)}")
    whole = exp.Concat(expressions=[message, asked], safe=True, coalesce=True)
    return TableViolation((Column(name, value),), exp.or_(*parts), whole, tuple(columns))


def said(before: str, name: str, after: str = "") -> exp.Expr:
    """A message with the figure of this name in it."""
    parts = [exp.Literal.string(before), text_of(column(name)), exp.Literal.string(after)]
    return exp.Concat(expressions=parts, safe=True, coalesce=True)


def null_share(of: exp.Column) -> exp.Expr:
    """The share of rows (0 to 1) in which the column is null; null without a row."""
    rows = exp.Count(this=exp.Star())
    nulls = exp.Paren(this=exp.Sub(this=rows, expression=exp.Count(this=of.copy())))
    return exp.Div(this=nulls, expression=exp.Nullif(this=rows.copy(), expression=exp.Literal.number(0)))


def per_cent(share: exp.Expr) -> exp.Expr:
    """A share (0 to 1) as people read it: ``12.5 %``."""
    hundredfold = exp.Mul(this=exp.Paren(this=share), expression=exp.Literal.number(100))
    rounded = exp.Round(this=hundredfold, decimals=exp.Literal.number(2))
    return exp.Concat(expressions=[text_of(rounded), exp.Literal.string(" %")], safe=True, coalesce=True)
