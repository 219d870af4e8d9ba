"""The frame of a window as people write it: ``7 days preceding``, ``6 rows preceding``, or SQL's own clause."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NoReturn, TypeAlias

from sqlglot import exp

from penstock.structs import Frozen, replace
from penstock.types import DATE
from penstock.types.families import Family, family

if TYPE_CHECKING:
    from penstock.graph.nodes import SortKey
    from penstock.steps.api import Scope

Mode: TypeAlias = Literal["ROWS", "RANGE", "GROUPS"]
Side: TypeAlias = Literal["PRECEDING", "FOLLOWING"]

_FRAME: Final = re.compile(r"(?:(?P<mode>rows|range|groups) )?(?:between (?P<start>.+?) and (?P<end>.+)|(?P<only>.+))")
_SIDES: Final[dict[str, Side]] = {"preceding": "PRECEDING", "following": "FOLLOWING"}
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_UNITS: Final = frozenset({"second", "minute", "hour", "day", "week", "month", "quarter", "year"})


class Bound(Frozen):
    """Without a side the current row; with one but no ``number`` the edge of the partition; ``unit`` one of time, or
    ``row``, or None.
    """

    side: Side | None = None
    number: str | None = None
    unit: str | None = None

    def tree(self) -> exp.Expr | str:
        if self.side is None:
            return "CURRENT ROW"
        if self.number is None:
            return "UNBOUNDED"
        if self.unit in _UNITS:
            return exp.Interval(this=exp.Literal.string(self.number), unit=exp.var(self.unit.upper()))
        return exp.Literal.number(self.number)


class Frame(Frozen):
    """From ``start`` to ``end``, both included."""

    mode: Mode
    start: Bound
    end: Bound

    def spec(self) -> exp.WindowSpec:
        return exp.WindowSpec(
            kind=self.mode,
            start=self.start.tree(),
            start_side=self.start.side,
            end=self.end.tree(),
            end_side=self.end.side,
        )

    @property
    def offsets(self) -> tuple[Bound, ...]:
        return tuple(bound for bound in (self.start, self.end) if bound.number is not None)


def parse_frame(text: str, scope: Scope) -> Frame:
    """Fails with CMP-291 for anything that is not of the forms above."""
    match = _FRAME.fullmatch(" ".join(text.lower().split()))
    if match is None:
        _not_understood(text, scope)
    start = _bound(match["start"] or match["only"], text, scope)
    end = _bound(match["end"], text, scope) if match["end"] else Bound()
    if match["only"] and start.side == "FOLLOWING":
        start, end = end, start
    if start == Bound("FOLLOWING") or end == Bound("PRECEDING"):
        _not_understood(text, scope)
    return Frame(
        _mode(match["mode"], start, end=end, text=text, scope=scope), *(_counted(bound) for bound in (start, end))
    )


def _counted(bound: Bound) -> Bound:
    return replace(bound, unit=None) if bound.unit == "row" else bound


def _bound(words: str, text: str, scope: Scope) -> Bound:
    parts = words.removeprefix("interval ").replace("'", "").split()
    unit = parts[1].removesuffix("s") if len(parts) == 3 else None  # noqa: PLR2004 -- number, unit, side
    match parts:
        case ["current", "row"]:
            return Bound()
        case ["unbounded", "preceding" | "following" as side]:
            return Bound(_SIDES[side])
        case [number, *_, "preceding" | "following" as side] if _NUMBER.fullmatch(number) and (
            len(parts) == 2 or unit in _UNITS | {"row"}  # noqa: PLR2004 -- number, side
        ):
            return Bound(_SIDES[side], number, unit)
        case _:
            return _not_understood(text, scope)


def _mode(said: str | None, start: Bound, *, end: Bound, text: str, scope: Scope) -> Mode:
    units = {bound.unit for bound in (start, end) if bound.number is not None}
    timed, counted = bool(units & _UNITS), "row" in units
    match said:
        case "rows" if not timed:
            return "ROWS"
        case "groups" if not timed and not counted:
            return "GROUPS"
        case "range" if not counted:
            return "RANGE"
        case None if counted and not timed:
            return "ROWS"
        case None if timed and not counted and None not in units:
            return "RANGE"
        case None if not units:
            return "RANGE"
        case _:
            return _not_understood(text, scope)


def _not_understood(text: str, scope: Scope) -> NoReturn:
    scope.fail(
        "CMP-291",
        f'the frame "{text}" is not understood',
        at=text,
        detail="a frame goes from a bound to a bound, both included; one bound alone goes to or from the current row.",
        hint='write "6 rows preceding", "7 days preceding", or "rows between 3 preceding and 3 following"',
    )


def check_frame(frame: Frame, order: tuple[SortKey, ...], *, text: str, scope: Scope) -> None:
    """Fails with CMP-292 where a distance along the order key is asked for that the key does not have."""
    if not order:
        scope.fail("CMP-289", "a frame needs `order_by`", at=text, hint="add `order_by`")
    if frame.mode != "RANGE" or not frame.offsets:
        if any("." in (bound.number or "") for bound in frame.offsets):
            scope.fail("CMP-292", "rows and groups are counted in whole numbers", at=text)
        return
    if len(order) != 1:
        scope.fail(
            "CMP-292", "a distance along the order needs one order key", at=text, hint="keep one key under `order_by`"
        )
    found = scope.type_of(order[0].value)
    if found is None:
        return  # adding the node says why
    timed = any(bound.unit for bound in frame.offsets)
    fits = family(found) is (Family.INSTANT if timed else Family.NUMBER)
    finer = found == DATE and any(bound.unit in {"second", "minute", "hour"} for bound in frame.offsets)
    if not fits or finer:
        scope.fail(
            "CMP-292",
            f"the order key is {found}, which has no distance of this kind",
            at=text,
            hint="order by a date or a timestamp" if timed else "count rows: `6 rows preceding`",
        )
