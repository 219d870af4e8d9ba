"""Two sides of the same columns, kept as keys and fingerprints: where they differ, range by range and key by key.

Each side is one count and two sums per range, so that sides which agree are told by one pass over each. Only the ranges that
differ are looked into, where both sides are grouped by key; the database spills what memory does not hold.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.compile.reconcile import FINGERPRINT
from penstock.service.copied import asked, made_of
from penstock.structs import Frozen
from penstock.trees import call, column, is_not_null, is_null, relation, struct, text_of, union_all
from penstock.types import INT64, STRING, Field, Schema
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from penstock.compile.reconcile import Comparison
    from penstock.service.copied import Copied

SOURCE: Final = "source"
TARGET: Final = "target"
_DRAWN: Final = 64  # keys per range, of which one is its beginning
_KIND: Final = "kind"
_PLACE: Final = "place"


class Kind(StrEnum):
    """What is wrong with a key, in the order in which it is told."""

    MISSING = "missing"  # in the source alone
    EXTRA = "extra"  # in the target alone
    REPEATED = "repeated"  # on both sides, not as often
    DIFFERING = "differing"  # as often, with other values
    NEWER = "newer"  # the source has a row of it that no run has loaded yet: no difference


class Side(Frozen):
    """``checksum`` is the same for the same rows in whatever order."""

    rows: int = 0
    checksum: str = "0-0"


class KeyRange(Frozen):
    """The keys from ``low`` on (None: from the first) up to before ``high`` (None: to the last), as texts."""

    low: tuple[str | None, ...] | None
    high: tuple[str | None, ...] | None
    source: Side
    target: Side

    @property
    def agrees(self) -> bool:
        return self.source == self.target


class Total(Frozen):
    """``keys`` of a kind, and the rows of theirs on either side."""

    keys: int
    source: int
    target: int


class Beside(Frozen):
    """``source`` and ``target`` are copies with the columns of ``comparison.schema``, named so."""

    comparison: Comparison
    source: Copied
    target: Copied
    folder: Path

    @property
    def _keys(self) -> list[exp.Column]:
        return [column(place.name) for place in self.comparison.places]

    # ------------------------------------------------------------ ranges

    def ranges(self, number: int) -> tuple[KeyRange, ...]:
        """At most so many, of about as many rows each; fewer where there are few keys."""
        bounds = self._bounds(number)
        sums: dict[tuple[int, str], Side] = {}
        query = self._sums(bounds)
        for row in asked(self.source.engine, (self.source, self.target), query, most=2 * (len(bounds) + 1)):
            checksum = f"{int(row['total']):x}-{row['parity']:x}"
            sums[row["range"], row["side"]] = Side(row["rows"], checksum)
        ends: list[tuple[str | None, ...] | None] = [None, *bounds, None]
        return tuple(
            KeyRange(ends[place], ends[place + 1], *(sums.get((place, side), Side()) for side in (SOURCE, TARGET)))
            for place in range(len(bounds) + 1)
        )

    def _bounds(self, number: int) -> list[tuple[str | None, ...]]:
        """Keys at about equal distances, in their order, of those that chance (the fingerprint) draws."""
        every = max(1, (self.source.rows + self.target.rows) // (number * _DRAWN))
        is_drawn = exp.EQ(
            this=exp.Mod(this=column(FINGERPRINT), expression=exp.Literal.number(every)),
            expression=exp.Literal.number(0),
        )
        sides = [exp.select(*self._keys).from_(relation(name)).where(is_drawn) for name in (SOURCE, TARGET)]
        both = exp.Union(this=sides[0], expression=sides[1], distinct=True)  # a key once
        most = number * _DRAWN * 4
        drawn = exp.select("*").from_(both.subquery("drawn")).limit(most)
        place = exp.Window(this=exp.RowNumber(), order=self._order())
        texts = [exp.alias_(text_of(key), key.name) for key in self._keys]
        told = exp.select(exp.alias_(place, _PLACE), *texts).from_(drawn.subquery("drawn"))
        rows = asked(self.source.engine, (self.source, self.target), told, most=most)
        rows.sort(key=lambda row: int(row[_PLACE]))
        # A text with a NUL cannot stand in a statement.
        keys = [tuple(row[key.name] for key in self._keys) for row in rows]
        chosen = (keys[len(keys) * part // number] for part in range(1, number)) if keys else ()
        return [key for key in dict.fromkeys(chosen) if key != keys[0] and "\x00" not in "".join(filter(None, key))]

    def _order(self) -> exp.Order:
        return exp.Order(expressions=[exp.Ordered(this=key, nulls_first=False) for key in self._keys])

    def _sums(self, bounds: Sequence[tuple[str | None, ...]]) -> exp.Select:
        """One row per range and side: how many rows, the sum of their fingerprints, and these xor-ed."""
        number = exp.cast(column(FINGERPRINT), "hugeint", copy=False)
        # Nothing is copied: the number of a range is a tree of as many cases as there are ranges.
        return (
            exp.select(
                exp.alias_(self._range_of(bounds), "range", copy=False),
                column("side"),
                exp.alias_(exp.Count(this=exp.Star()), "rows", copy=False),
                exp.alias_(text_of(exp.Sum(this=number)), "total", copy=False),
                exp.alias_(call("bit_xor", column(FINGERPRINT)), "parity", copy=False),
                copy=False,
            )
            .from_(self._both().subquery("both", copy=False), copy=False)
            .group_by(exp.Literal.number(1), exp.Literal.number(2), copy=False)
        )

    def _both(self) -> exp.Union:
        """All rows, each with its ``side``."""
        source, target = (
            exp.select("*", exp.alias_(exp.Literal.string(side), "side")).from_(relation(side))
            for side in (SOURCE, TARGET)
        )
        return exp.Union(this=source, expression=target, distinct=False)

    def _range_of(self, bounds: Sequence[tuple[str | None, ...]]) -> exp.Expr:
        """The number of a row's range, found by halving."""
        literals = [self._literals(bound) for bound in bounds]

        def between(low: int, high: int) -> exp.Expr:
            if low == high:
                return exp.Literal.number(low)
            middle = (low + high) // 2
            is_below = _is_below(self._keys, literals[middle])
            return exp.Case(ifs=[exp.If(this=is_below, true=between(low, middle))], default=between(middle + 1, high))

        return between(0, len(bounds))

    def _literals(self, key: tuple[str | None, ...]) -> list[exp.Expr]:
        texts = (exp.null() if text is None else exp.Literal.string(text) for text in key)
        kinds = (to_duckdb(place.type) for place in self.comparison.places)
        return [exp.Cast(this=text, to=kind) for text, kind in zip(texts, kinds, strict=True)]

    # ------------------------------------------------------------ keys

    def different(self, ranges: Sequence[KeyRange]) -> Copied:
        """The keys that are not alike, by looking into those of the ranges that differ."""
        bounds = [found.low for found in ranges[1:] if found.low is not None]
        wanted = [place for place, found in enumerate(ranges) if not found.agrees]
        both = exp.select("*").from_(self._both().subquery("both", copy=False), copy=False)
        if len(wanted) < len(ranges):
            places = [exp.Literal.number(place) for place in wanted]
            both.where(exp.In(this=self._range_of(bounds), expressions=places), copy=False)
        is_source = exp.EQ(this=column("side"), expression=exp.Literal.string(SOURCE))
        number = exp.cast(column(FINGERPRINT), "hugeint")
        source = call("count_if", is_source)
        target = exp.Sub(this=exp.Count(this=exp.Star()), expression=source.copy())
        signed = exp.Case(ifs=[exp.If(this=is_source, true=number)], default=exp.Neg(this=number.copy()))
        differs = exp.or_(
            exp.NEQ(this=source.copy(), expression=target.copy()),
            exp.NEQ(this=exp.Sum(this=signed), expression=exp.Literal.number(0)),
        )
        query = (
            exp.select(
                *self._keys,
                exp.alias_(exp.cast(source, "bigint"), SOURCE),
                exp.alias_(exp.cast(target, "bigint"), TARGET),
                exp.alias_(_kind(source, target), _KIND),
            )
            .from_(both.subquery("inside", copy=False), copy=False)
            .group_by(*self._keys, copy=False)
            .having(differs, copy=False)
        )
        return made_of((self.source, self.target), query, schema=self.schema, into=self.folder / "different.arrow")

    @property
    def schema(self) -> Schema:
        """Of the keys that are not alike."""
        return Schema((*self.comparison.places, Field(SOURCE, INT64), Field(TARGET, INT64), Field(_KIND, STRING)))

    def without_newer(self, different: Copied, beyond: Copied) -> Copied:
        """With the kind ``newer`` where ``beyond`` has the key: rows that no run has loaded yet."""
        name = different.read.id
        known = exp.select(*self._keys, exp.alias_(exp.true(), "known")).from_(relation(beyond.read.id))
        known = known.group_by(*[column(key.name) for key in self._keys])
        kind = exp.Case(
            ifs=[exp.If(this=column("known", "later"), true=exp.Literal.string(Kind.NEWER.value))],
            default=column(_KIND, name),
        )
        carried = [column(item, name) for item in self.schema.names if item != _KIND]
        query = (
            exp.select(*carried, exp.alias_(kind, _KIND))
            .from_(relation(name))
            .join(known.subquery("later"), on=self._same(name, "later"), join_type="left")
        )
        return made_of((different, beyond), query, schema=self.schema, into=self.folder / "settled.arrow")

    def _same(self, one: str, other: str) -> exp.Expr:
        pairs = ((column(key.name, one), column(key.name, other)) for key in self._keys)
        return exp.and_(*(exp.NullSafeEQ(this=this, expression=that) for this, that in pairs))

    def totals(self, different: Copied) -> Mapping[Kind, Total]:
        query = (
            exp.select(
                column(_KIND),
                exp.alias_(exp.Count(this=exp.Star()), "keys"),
                *(exp.alias_(exp.cast(exp.Sum(this=column(side)), "bigint"), side) for side in (SOURCE, TARGET)),
            )
            .from_(relation(different.read.id))
            .group_by(column(_KIND))
        )
        rows = asked(different.engine, (different,), query, most=len(Kind))
        found = {Kind(row[_KIND]): Total(row["keys"], row[SOURCE], row[TARGET]) for row in rows}
        return {kind: found[kind] for kind in Kind if kind in found}

    def examples(self, different: Copied, kinds: Sequence[Kind], most: int) -> Copied:
        """Of each kind the first keys in their order, ``place`` says which one it is."""
        parts = [self._first(different.read.id, kind, most) for kind in kinds]
        schema = Schema((*self.schema, Field(_PLACE, INT64)))
        return made_of((different,), union_all(parts), schema=schema, into=self.folder / "examples.arrow")

    def _first(self, table: str, kind: Kind, most: int) -> exp.Select:
        is_kind = exp.EQ(this=column(_KIND), expression=exp.Literal.string(kind.value))
        order = self._order().expressions
        first = exp.select("*").from_(relation(table)).where(is_kind).order_by(*order).limit(most)
        place = exp.Window(this=exp.RowNumber(), order=self._order())
        return exp.select("*", exp.alias_(exp.cast(place, "bigint"), _PLACE)).from_(first.subquery("first"))

    def shown(self, examples: Copied, most: int) -> list[dict[str, Any]]:
        """The keys as texts of bounded length, kind by kind, in their order."""
        texts = [exp.alias_(call("left", text_of(key), exp.Literal.number(most)), key.name) for key in self._keys]
        others = [column(name) for name in (SOURCE, TARGET, _KIND, _PLACE)]
        query = exp.select(*texts, *others).from_(relation(examples.read.id))
        rows = asked(examples.engine, (examples,), query, most=examples.rows)
        order = {kind.value: place for place, kind in enumerate(Kind)}
        return sorted(rows, key=lambda row: (order[row[_KIND]], row[_PLACE]))

    def values_query(
        self, rows: str, examples: str, columns: Mapping[str, exp.Expr], *, latest: str | None = None
    ) -> exp.Select:
        """One row per example that the node ``rows`` (``Comparison.rows``) has: of several rows of a key the one whose
        fingerprint is the least, or the ``latest`` by that column. ``columns`` are what is asked of it.
        """
        chosen = ("arg_min", FINGERPRINT) if latest is None else ("arg_max", latest)
        one = call(chosen[0], struct(columns), column(chosen[1], rows))
        return (
            exp.select(column(_KIND, examples), column(_PLACE, examples), exp.alias_(one, "one"))
            .from_(relation(rows))
            .join(relation(examples), on=self._same(rows, examples), join_type="inner")
            .group_by(column(_KIND, examples), column(_PLACE, examples))
        )


def _kind(source: exp.Expr, target: exp.Expr) -> exp.Case:
    nothing = exp.Literal.number(0)
    cases = {
        Kind.MISSING: exp.EQ(this=target.copy(), expression=nothing),
        Kind.EXTRA: exp.EQ(this=source.copy(), expression=nothing.copy()),
        Kind.REPEATED: exp.NEQ(this=source.copy(), expression=target.copy()),
    }
    ifs = [exp.If(this=test, true=exp.Literal.string(kind.value)) for kind, test in cases.items()]
    return exp.Case(ifs=ifs, default=exp.Literal.string(Kind.DIFFERING.value))


def _is_below(keys: Sequence[exp.Expr], bound: Sequence[exp.Expr]) -> exp.Expr:
    """Whether keys come before others in the order of their columns; nulls come last. Never null."""
    key, limit = keys[0].copy(), bound[0].copy()
    below = exp.or_(
        call("coalesce", exp.LT(this=key, expression=limit), exp.false()),
        exp.and_(is_not_null(key), is_null(limit)),
    )
    if len(keys) == 1:
        return below
    same = exp.NullSafeEQ(this=key.copy(), expression=limit.copy())
    return exp.or_(below, exp.and_(same, _is_below(keys[1:], bound[1:])))


__all__ = ["SOURCE", "TARGET", "Beside", "KeyRange", "Kind", "Side", "Total"]
