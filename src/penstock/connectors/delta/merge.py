"""Merge by copy on write: join what came with the table, rewrite the files that hold a row that changes, and only those.

Every row that came has one outcome: inserted, updated, unchanged (each column that came is as it was), or ignored as
older by ``order_by``, where null is older than any value and a tie is not older.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.connectors.delta.candidates import Extent, candidates
from penstock.connectors.delta.duck import copy
from penstock.connectors.delta.literals import column, identifier
from penstock.connectors.delta.relations import free_name, staged_rows, table_rows
from penstock.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.connectors.api import ParquetFormat
    from penstock.connectors.delta.duck import Duck
    from penstock.connectors.delta.table import DataFile, Snapshot
    from penstock.types import Schema

INSERTED, UPDATED, UNCHANGED, OLDER = "inserted", "updated", "unchanged", "older"
_CAME: Final = "came"
_JOINED: Final = "joined"


@dataclass(frozen=True, slots=True)
class Merge:
    """What to merge: ``rows`` are the columns that came, ``target`` the table's columns after this commit."""

    keys: tuple[str, ...]
    order_by: str | None
    rows: Schema
    target: Schema
    partition_by: tuple[str, ...]
    form: ParquetFormat


@dataclass(frozen=True, slots=True)
class Merged:
    """How many rows came to what; which files of the table are replaced by what was written."""

    counts: dict[str, int]
    replaced: tuple[DataFile, ...]


def merge(duck: Duck, work: Merge, staged: Sequence[Path], table: Snapshot | None, folder: Path) -> Merged:
    """Writes the changed and new rows, with the unchanged ones of the files that they replace, below ``folder``.

    Nothing is written where nothing changes. Raises DataError SNK-254.
    """
    outcome, number = (free_name(name, work.target.names) for name in ("outcome", "number"))
    duck.rows(_create(_CAME, staged_rows(staged, work.rows, work.target)))
    extent = _checked(duck, work)
    files = candidates(table, extent) if table is not None else ()
    duck.rows(_create(_JOINED, _join(work, table, files, outcome, number)))
    counts = _count(duck, outcome)
    if sum(counts.values()) != extent.rows:
        raise _ambiguous(work, "the table holds a key of these rows more than once")
    changing = [files[at] for at in _touched(duck, outcome, number)]
    if counts.get(UPDATED) or counts.get(INSERTED):
        duck.rows(copy(_rewritten(work, table, changing, outcome), folder, work.form, work.partition_by))
    return Merged(counts, tuple(changing))


def _create(name: str, query: exp.Query) -> exp.Create:
    return exp.Create(
        this=exp.Table(this=identifier(name)),
        kind="TABLE",
        expression=query,
        properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
    )


def _named(name: str) -> exp.Table:
    return exp.Table(this=identifier(name))


# ---------------------------------------------------------------- what came


def _checked(duck: Duck, work: Merge) -> Extent:
    """How many rows came and between which keys. Raises DataError SNK-254 for a key twice, or null."""
    nulls = exp.or_(*[exp.Is(this=column(key), expression=exp.null()) for key in work.keys])
    key = exp.Tuple(expressions=[column(name) for name in work.keys]) if len(work.keys) > 1 else column(work.keys[0])
    bounds = [found for name in work.keys for found in (exp.Min(this=column(name)), exp.Max(this=column(name)))]
    query = exp.select(
        exp.Count(this=exp.Star()),
        exp.Anonymous(this="count_if", expressions=[nulls]),
        exp.Count(this=exp.Distinct(expressions=[key])),
        *bounds,
    ).from_(_named(_CAME))
    ((rows, empty, distinct, *found),) = duck.rows(query)
    if empty:
        raise _ambiguous(work, f"{empty} of {rows} rows have a null in a key column")
    if distinct != rows:
        raise _ambiguous(work, f"{rows} rows have {distinct} keys")
    pairs = zip(found[::2], found[1::2], strict=True)
    folders = [name for name in work.partition_by if name in work.keys]
    return Extent(rows, dict(zip(work.keys, pairs, strict=True)), _folders(duck, folders))


def _folders(duck: Duck, names: Sequence[str]) -> dict[str, frozenset[Any]]:
    """The values of key columns that divide the table."""
    found = {}
    for name in names:
        query = exp.select(column(name)).distinct().from_(_named(_CAME))
        found[name] = frozenset(value for (value,) in duck.rows(query))
    return found


def _ambiguous(work: Merge, detail: str) -> DataError:
    keys = ", ".join(f'"{key}"' for key in work.keys)
    return DataError("SNK-254", f"a merge by {keys} is ambiguous", detail=detail)


# ---------------------------------------------------------------- what there is


def _join(work: Merge, table: Snapshot | None, files: Sequence[DataFile], outcome: str, number: str) -> exp.Select:
    """One row per row that came and, where its key is there, per row of the table that has it."""
    sent = [exp.alias_(column(name, "c"), identifier(name), quoted=True) for name in work.rows.names]
    came = exp.alias_(_named(_CAME), "c", table=True)
    if table is None or not files:
        fresh = exp.alias_(exp.Literal.string(INSERTED), identifier(outcome), quoted=True)
        none = exp.alias_(exp.Cast(this=exp.null(), to=exp.DataType.build("bigint")), identifier(number), quoted=True)
        return exp.select(*sent, *[_absent(work, name) for name in _unsent(work)], fresh, none).from_(came)
    there = table_rows(table, files, work.target, alias="t", names=work.target.names, number=number)
    kept = [exp.alias_(column(name, "t"), identifier(name), quoted=True) for name in _unsent(work)]
    same = exp.and_(*[exp.EQ(this=column(key, "c"), expression=column(key, "t")) for key in work.keys])
    told = exp.alias_(_outcome(work, number), identifier(outcome), quoted=True)
    place = exp.alias_(column(number, "t"), identifier(number), quoted=True)
    return exp.select(*sent, *kept, told, place).from_(came).join(there, on=same, join_type="left")


def _unsent(work: Merge) -> list[str]:
    return [name for name in work.target.names if name not in work.rows]


def _absent(work: Merge, name: str) -> exp.Expr:
    from penstock.connectors.delta.literals import value_of

    return exp.alias_(value_of(None, work.target[name].type), identifier(name), quoted=True)


def _outcome(work: Merge, number: str) -> exp.Case:
    found = exp.Case().when(exp.Is(this=column(number, "t"), expression=exp.null()), exp.Literal.string(INSERTED))
    if work.order_by:
        came, there = column(work.order_by, "c"), column(work.order_by, "t")
        earlier = exp.or_(exp.Is(this=came, expression=exp.null()), exp.LT(this=came.copy(), expression=there))
        is_set = exp.not_(exp.Is(this=there.copy(), expression=exp.null()))
        found = found.when(exp.and_(is_set, earlier), exp.Literal.string(OLDER))
    sent = [name for name in work.rows.names if name not in work.keys]
    equal = [exp.NullSafeEQ(this=column(name, "c"), expression=column(name, "t")) for name in sent]
    if equal:
        found = found.when(exp.and_(*equal), exp.Literal.string(UNCHANGED))
        return found.else_(exp.Literal.string(UPDATED))
    return found.else_(exp.Literal.string(UNCHANGED))


def _count(duck: Duck, outcome: str) -> dict[str, int]:
    query = exp.select(column(outcome), exp.Count(this=exp.Star())).from_(_named(_JOINED)).group_by(column(outcome))
    return {str(name): int(rows) for name, rows in duck.rows(query)}


def _touched(duck: Duck, outcome: str, number: str) -> list[int]:
    query = exp.select(column(number)).distinct().from_(_named(_JOINED)).where(_is(outcome, UPDATED))
    return sorted(int(place) for (place,) in duck.rows(query))


def _is(outcome: str, *wanted: str) -> exp.In:
    return exp.In(this=column(outcome), expressions=[exp.Literal.string(name) for name in wanted])


# ---------------------------------------------------------------- what there will be


def _rewritten(work: Merge, table: Snapshot | None, files: Sequence[DataFile], outcome: str) -> exp.Query:
    """New and changed rows, and the other rows of the files that are replaced, in the target's columns."""
    names = work.target.names
    changed = (
        exp.select(*[column(name) for name in names]).from_(_named(_JOINED)).where(_is(outcome, INSERTED, UPDATED))
    )
    if table is None or not files:
        return changed
    old = table_rows(table, files, work.target, alias="t", names=names, number=None)
    newer = exp.select(*[column(key) for key in work.keys]).from_(_named(_JOINED)).where(_is(outcome, UPDATED))
    same = exp.and_(*[exp.EQ(this=column(key, "n"), expression=column(key, "t")) for key in work.keys])
    rest = exp.select(*[column(name, "t") for name in names]).from_(old)
    rest = rest.join(newer.subquery(identifier("n")), on=same, join_type="anti")
    return exp.union(rest, changed, distinct=False)
