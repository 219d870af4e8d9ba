"""How far a cursor has come: found by a look at the rows of a range before it is written, kept in the range's position.

Position: ``{"v": 1, "cursor": {"by": [columns], "value": text or null, "seen": ties}, "at": the source's own}``; where a
series of epochs was cut there (run/series.py), ``"cut": true`` stands in the place of ``seen``. Ties are ``{sum: rows or null}``,
or a list of sums where each stands for all rows of it; the sums are of the further columns of ``by``. ``"nulls": {"by": [columns],
"rows": ties}`` are the rows without a value that were rejected up to there, where they are no more than a position can name (a
list: by the columns of ``by``); ``"bad": rows`` says how many records the look found that become no row, and ``"numbered": true``
that the range which ends there has some of several equal rows, and not all or none of them.

Where more rows have the value than a position can name, and the document names further columns, ``"key": {"types", "values",
"rows", "total"}`` is the greatest of them (run/keysets.py), and ``seen`` are those that lack one of these columns. ``"behind":
{"value", "rows"}`` are rows that came up to the greatest one of the position before after that one was taken down: they are in no range.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.errors import ConfigError, DataError
from penstock.graph.nodes import Column, Filter
from penstock.graph.span import Mark, Ties, bounds, identity, is_at, lacks
from penstock.run.keysets import COUNTED, behind, count_at, greatest, key_of, may_have_key, told_by, why_no_key
from penstock.run.looks import look
from penstock.structs import Frozen
from penstock.trees import call, column, is_null, struct, text_of
from penstock.types import BOOLEAN, INT64, STRING, Field, Schema
from penstock.types.logical import List, Map, Struct, StructField

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from penstock.connectors.api import Json, Position, Rows
    from penstock.engines.api import Engine
    from penstock.graph.nodes import Read
    from penstock.run.keysets import Behind

_VERSION: Final = 1
MOST_SEEN: Final = 10_000  # rows of the newest value, and without a value, that a position names
# Rows of a range that may change while it is read, of which equal ones are told by their number: a window holds them all.
MOST_NUMBERED: Final = 1_000_000
_ROWS: Final = List(Struct((StructField("value", STRING), StructField("row", STRING), StructField("lacks", BOOLEAN))))
_AGAIN: Final = Field("again", Map(STRING, INT64))
_NULLS: Final = Field("nulls", List(STRING))
_FOUND: Final = Schema((Field("newest", STRING), Field("rows", _ROWS), Field("count", INT64), _AGAIN, _NULLS, *COUNTED))


class Newest(Frozen):
    """Where a range ends. ``nulls``: the rows without a value that there are beyond its beginning; None where they are more than
    a position can name, or nobody tells them apart. ``bad``: how many records were none of the source's rows. ``numbered``:
    whether equal rows have to be told by their number. ``behind``: what came too late for a mark that has a key.
    """

    mark: Mark | None
    nulls: Ties | None = None
    bad: int = 0
    numbered: bool = False
    behind: Behind | None = None


# ---------------------------------------------------------------- positions


def position_of(
    read: Read,
    mark: Mark | None,
    own: Position,
    nulls: Ties | None = None,
    bad: int = 0,
    *,
    numbered: bool = False,
    behind: Behind | None = None,
) -> Position:
    """``own`` is where the source itself stands. ``mark`` None: no row has a value yet."""
    assert read.cursor is not None
    seen = mark.seen if mark is not None else Ties()
    by = [read.cursor.by, *(seen.columns if seen.counts else read.cursor.identity)]
    value = mark.value if mark else None
    cursor: dict[str, Json] = (
        {"by": by, "value": value, "cut": True}
        if mark and mark.cut
        else {"by": by, "value": value, "seen": _json(seen)}
    )
    if mark is not None and mark.key is not None:
        cursor["key"] = told_by(mark.key)
    if nulls is not None:
        listed = _json(nulls)
        # A list is what positions had before rows were counted, by the columns of ``by``.
        cursor["nulls"] = listed if listed == [] else {"by": list(nulls.columns), "rows": listed}
    if bad:
        cursor["bad"] = bad
    if numbered:
        cursor["numbered"] = True
    if behind is not None:
        cursor["behind"] = {"value": behind.value, "rows": behind.rows}
    return {"v": _VERSION, "cursor": cursor, "at": own}


def _json(ties: Ties) -> Json:
    if not ties.counted:
        return sorted(ties.counts)
    return dict(sorted(ties.counts.items()))


def _ties(columns: Iterable[object], listed: Json) -> Ties:
    counts: dict[str, int | None] = {}
    match listed:
        case dict():
            counts = {item: count if isinstance(count, int) else None for item, count in listed.items()}
        case list():
            counts = {str(item): None for item in listed}
    return Ties(tuple(map(str, columns)), counts)


def mark_of(read: Read, position: Position | None) -> Mark | None:
    """Raises ConfigError RUN-130 where the position is of another cursor, or names rows by columns that are gone. Those by
    which it tells rows apart are as good as any, as long as they are there: columns that came later make no other row.
    RUN-138 where it has a key that is none.
    """
    assert read.cursor is not None
    match position:
        case {"v": 1, "cursor": {"by": [by, *columns], "value": value, "seen": list() | dict() as seen, **more}}:
            ties = _ties(columns, seen)
            _check_cursor(read, by, ties if read.cursor.lag is None else Ties())
            if not ties.counts or read.cursor.lag is not None:
                ties = Ties(read.cursor.identity)
            if value is None:
                return None
            key = more.get("key") if read.cursor.lag is None else None
            return Mark(str(value), ties, key=key_of(read, columns, key) if key is not None else None)
        case {"v": 1, "cursor": {"by": [by, *_], "value": str() as value, "cut": True}}:
            _check_cursor(read, by, Ties())
            return Mark(value, cut=True)
        case _:
            return None  # it was read in full before


def _check_cursor(read: Read, by: object, seen: Ties) -> None:
    """Raises ConfigError RUN-130."""
    assert read.cursor is not None
    cursor = read.cursor
    if by != cursor.by or (seen.counts and cursor.row and seen.columns != cursor.identity):
        now = (cursor.by, *(cursor.identity if seen.counts else ()))
        raise ConfigError(
            "RUN-130",
            f'"{read.source}" has been read up to now by another cursor',
            detail=f"it was ({', '.join(map(str, (by, *seen.columns)))}), and is ({', '.join(now)}).",
            hint="name the one it had, or begin anew with --full-refresh",
        )
    gone = [name for name in seen.columns if name not in _names(read)] if seen.counts else []
    if gone:
        raise ConfigError(
            "RUN-130",
            f'"{read.source}" no longer has columns that tell the last rows read apart: {", ".join(gone)}',
            detail=f"rows with the newest value of {cursor.by} that have been read are known by ({', '.join(seen.columns)}).",
            hint="begin anew with --full-refresh, or bring the columns back",
        )


def _names(read: Read) -> Sequence[str]:
    return read.schema.names if read.schema is not None else ()


def nulls_of(read: Read, position: Position | None) -> Ties | None:
    """The rows without a value that were rejected up to there; None where it names none that can still be told apart."""
    assert read.cursor is not None
    match position:
        case {"v": 1, "cursor": {"nulls": {"by": list() as columns, "rows": list() | dict() as rows}}}:
            found = _ties(columns, rows)
        case {"v": 1, "cursor": {"by": [_, *columns], "nulls": list() as rows}} if not (rows and read.cursor.row):
            found = _ties(columns, rows)
        case _:
            return None
    if not found.counts:
        return Ties(read.cursor.whole)
    return found if all(name in _names(read) for name in found.columns) else None


def numbered(position: Position) -> bool:
    """Whether the range that ends there has some of several equal rows."""
    match position:
        case {"cursor": {"numbered": True}}:
            return True
    return False


def both_nulls(before: Ties | None, now: Ties | None) -> Ties | None:
    """Those of two positions; None where they are too many for one."""
    if now is None or before is None or not before.counts:
        return now
    found = _merged(before, now.counts)
    return Ties(before.columns, found) if len(found) <= MOST_SEEN else None


def _merged(before: Ties, found: Mapping[str, int | None]) -> dict[str, int | None]:
    """What there was and what there is: a row that is gone is not forgotten."""
    counts = dict(before.counts)
    for item, now in found.items():
        then = counts.get(item, 0)
        counts[item] = None if then is None or now is None else max(then, now)
    return counts


# ---------------------------------------------------------------- looks


def newest(
    engine: Engine, read: Read, rows: Sequence[Rows], after: Mark | None, known: Ties | None = None, *, stands: bool
) -> Newest:
    """Where a range beyond ``after`` ends; at ``after`` itself where there is nothing beyond. ``known``: the rows without a
    value up to there. ``stands``: nothing can come into the range until it is read.

    Raises DataError SRC-111 where more rows have the newest value than a position can name, and no key tells how far it is.
    """
    cursor, schema = read.cursor, read.schema
    assert cursor is not None
    assert schema is not None
    beyond = Filter("beyond", input=read.id, condition=bounds(read, after, None), schema=schema)
    by = column(cursor.by)
    before = after.seen if after is not None and not after.cut and cursor.lag is None else Ties()
    measures = (
        Column(
            "newest", text_of(exp.Filter(this=call("max", by), expression=exp.Where(this=exp.Not(this=is_null(by)))))
        ),
        Column("rows", _rows_at_the_end(read, after, before)),
        Column("count", exp.Count(this=exp.Star())),
        Column("again", _again(read, after, before)),
        Column("nulls", _nulls(read, known)),
        *count_at(read, after),
    )
    looked, bad = look(engine, read, rows, beyond=beyond, measures=measures, found=_FOUND)
    top, nulls = looked["newest"], _listed(looked["nulls"], read, known)
    more = _more(before, looked) or _more_nulls(known, nulls)
    late = behind(after, looked)
    if top is None:
        return Newest(after, nulls, bad, more, late)
    if cursor.lag is not None:
        return Newest(Mark(top, Ties(cursor.identity)), nulls, bad)
    ends = [item for item in looked["rows"] if item["value"] == top]
    is_same = after is not None and top == after.value
    stays = after if is_same else None
    if (stays is not None and stays.key is not None) or (len(ends) > MOST_SEEN and may_have_key(read)):
        found = greatest(engine, read, rows, stays, top, most=MOST_SEEN)
        _check_number(read, top, sum(found.lacking.values()), len(found.lacking))
        ties = Ties(cursor.identity, _merged(Ties((), before.counted if is_same else {}), found.lacking))
        return Newest(Mark(top, ties, key=found.key), nulls, bad, more, found.behind if is_same else late)
    seen = Counter(item["row"] for item in ends)
    # Rows that are the same in the columns that the document names are one; those that lack one are none of these.
    alike = {item["row"] for item in ends if cursor.row and not item["lacks"]}
    counts: dict[str, int | None] = {item: None if item in alike else count for item, count in seen.items()}
    if is_same and before.counts:
        counts, columns = _merged(before, counts), before.columns
        more = more or before.fewer_than(seen)
    else:
        columns = cursor.identity
    _check_number(read, top, sum(seen.values()), len(counts))
    if not stands and not cursor.row:
        # Rows that come until it is read are of the next range; of a large one no equal row is told from another.
        if looked["count"] <= MOST_NUMBERED or more:
            more = True
        else:
            counts = dict.fromkeys(counts)
    return Newest(Mark(top, Ties(columns, counts)), nulls, bad, more, late)


def _rows_at_the_end(read: Read, after: Mark | None, before: Ties) -> exp.Expr:
    """The rows with the greatest values, one more than a position can name. Those of the value of ``after`` by the columns that
    it tells them apart by.
    """
    assert read.cursor is not None
    by, row = column(read.cursor.by), identity(read, read.cursor.identity)
    if read.cursor.lag is not None:
        row = exp.cast(exp.null(), "text")
    elif after is not None and before.counts and before.columns != read.cursor.identity:
        row = exp.Case(ifs=[exp.If(this=is_at(read, after), true=identity(read, before.columns))], default=row)
    most = 1 if read.cursor.lag is not None else MOST_SEEN + 1
    return call(
        "arg_max", struct({"value": text_of(by), "row": row, "lacks": lacks(read)}), by, exp.Literal.number(most)
    )


def _again(read: Read, after: Mark | None, before: Ties) -> exp.Expr:
    """How many rows there are by now of each sum that ``after`` counts."""
    if after is None or not before.counted:
        return exp.cast(exp.null(), "map(text, bigint)", dialect="duckdb")
    row = identity(read, before.columns)
    named = exp.In(this=row.copy(), expressions=[exp.Literal.string(item) for item in sorted(before.counted)])
    counted = exp.Filter(this=call("histogram", row), expression=exp.Where(this=exp.and_(is_at(read, after), named)))
    return exp.cast(counted, "map(text, bigint)", dialect="duckdb")


def _more(before: Ties, looked: Mapping[str, Any]) -> bool:
    return before.fewer_than(dict(looked["again"] or ()))


def _more_nulls(known: Ties | None, nulls: Ties | None) -> bool:
    return known is not None and nulls is not None and known.fewer_than(nulls.counted)


def _check_number(read: Read, top: str, rows: int, named: int) -> None:
    """Raises DataError SRC-111."""
    assert read.cursor is not None
    if rows > MOST_SEEN or named > MOST_SEEN:
        raise DataError(
            "SRC-111",
            f'more than {MOST_SEEN:,} rows of "{read.source}" have the newest value of its cursor, {read.cursor.by} = {top}',
            detail=why_no_key(read),
            hint=f"name columns besides that tell the rows of one value apart, as in `cursor: [{read.cursor.by}, id]` (after that, "
            "--full-refresh where something was loaded before); or take a `lag`, for a sink that merges",
        )


def came_at(engine: Engine, read: Read, rows: Sequence[Rows], after: Mark | None) -> tuple[bool, Behind | None]:
    """Whether there are more equal rows at ``after`` by now than it counts; and what came too late for its key."""
    if after is None or not (after.seen.counted or after.key):
        return False, None
    beyond = Filter("beyond", input=read.id, condition=is_at(read, after), schema=read.schema)
    measures = (Column(_AGAIN.name, _again(read, after, after.seen)), *count_at(read, after))
    looked, _ = look(engine, read, rows, beyond=beyond, measures=measures, found=Schema((_AGAIN, *COUNTED)))
    return _more(after.seen, looked), behind(after, looked)


def without_a_value(engine: Engine, read: Read, rows: Sequence[Rows], known: Ties | None = None) -> Newest:
    """The rows without a value, as ``Newest`` has them."""
    assert read.cursor is not None
    assert read.schema is not None
    beyond = Filter("beyond", input=read.id, condition=is_null(column(read.cursor.by)), schema=read.schema)
    measures = (Column(_NULLS.name, _nulls(read, known)),)
    looked, _ = look(engine, read, rows, beyond=beyond, measures=measures, found=Schema((_NULLS,)))
    nulls = _listed(looked["nulls"], read, known)
    return Newest(None, nulls, numbered=_more_nulls(known, nulls))


def _nulls(read: Read, known: Ties | None) -> exp.Expr:
    """The checksums of rows without a value, one more than a position can name; null where nobody tells rows apart."""
    assert read.cursor is not None
    if read.cursor.lag is not None:
        return exp.cast(exp.null(), "text[]", dialect="duckdb")
    row = identity(read, _columns_of_nulls(read, known))
    least = call("arg_min", row, row.copy(), exp.Literal.number(MOST_SEEN + 1))
    listed = exp.Filter(this=least, expression=exp.Where(this=is_null(column(read.cursor.by))))
    return call("coalesce", listed, exp.cast(exp.Array(expressions=[]), "text[]", dialect="duckdb"))


def _columns_of_nulls(read: Read, known: Ties | None) -> tuple[str, ...]:
    assert read.cursor is not None
    return known.columns if known is not None and known.counts else read.cursor.whole


def _listed(sums: list[str] | None, read: Read, known: Ties | None) -> Ties | None:
    if sums is None or len(sums) > MOST_SEEN:
        return None
    return Ties(_columns_of_nulls(read, known), dict(Counter(sums)))


def is_new(after: Mapping[str, Json] | None, upto: Position) -> bool:
    """Whether a range of a source with a cursor may have rows, or rejects: whether its mark moved, rows without a value came, or
    there are other bad records than there were; that they are gone, or lie behind the mark by now, is nothing new.
    """
    match after, upto:
        case {"cursor": dict() as before}, {"cursor": dict() as now}:
            bad = now.get("bad", before.get("bad", 0))
            return _told(before) != _told({**now, "bad": bad})
        case _:
            return after != upto


def _told(cursor: Mapping[str, Json]) -> dict[str, Json]:
    """Of a position what says something of rows: not the columns that there were, nor how a range was read."""
    match cursor.get("nulls"):
        case {"rows": list() | dict() as rows}:
            nulls: Json = rows
        case other:
            nulls = other or []
    told = {name: value for name, value in cursor.items() if name not in ("by", "numbered", "behind")}
    return {"bad": 0, **told, "nulls": nulls}
