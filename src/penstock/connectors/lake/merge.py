"""Merge by copy on write: join what came with the table, rewrite the files that hold a row that changes, and only those.

Every row that came has one outcome: inserted, updated, unchanged (each column that came is as it was), or ignored as
older by ``order_by``, where null is older than any value and a tie is not older.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.connectors.lake.candidates import Extent, candidates
from penstock.connectors.lake.literals import value_of
from penstock.connectors.lake.relations import renamed, staged_rows, table_rows
from penstock.errors import DataError
from penstock.structs import Frozen
from penstock.trees import call, column, identifier, is_not_null, is_null, relation, unused_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from penstock.connectors.lake.duck import Duck
    from penstock.connectors.lake.tables import DataFile, LakeTable
    from penstock.types import Schema

INSERTED, UPDATED, UNCHANGED, OLDER = "inserted", "updated", "unchanged", "older"
_CAME: Final = "came"  # view: the rows that came, in the target's types
_JOINED: Final = "joined"  # table: per row that came its keys, its outcome, the table's columns that did not come


class Merge(Frozen):
    """What to merge: ``rows`` are the columns that came, ``target`` the table's columns after this commit. ``write`` is
    given the query of what is to be written, once at most.
    """

    keys: tuple[str, ...]
    order_by: str | None
    rows: Schema
    target: Schema
    partition_by: tuple[str, ...]
    write: Callable[[exp.Query], None]

    @property
    def unsent(self) -> tuple[str, ...]:
        return tuple(name for name in self.target.names if name not in self.rows)

    @property
    def outcome(self) -> str:
        """The name of the column that says what a row came to."""
        return unused_name("outcome", self.target.names)

    @property
    def number(self) -> str:
        """The name of the column that says in which file a row lies."""
        return unused_name("number", self.target.names)

    def same_key(self, one: str, other: str) -> exp.Expr:
        return exp.and_(*[exp.EQ(this=column(key, one), expression=column(key, other)) for key in self.keys])


class Merged(Frozen):
    """How many rows came to what; which files of the table are replaced by what was written."""

    counts: dict[str, int]
    replaced: tuple[DataFile, ...]


def merge(duck: Duck, work: Merge, staged: Sequence[Path], table: LakeTable | None) -> Merged:
    """Writes the changed and new rows, with the unchanged ones of the files that they replace.

    Nothing is written where nothing changes. Raises DataError SNK-254.
    """
    duck.run(_create(_CAME, "VIEW", staged_rows(duck, staged, work.rows, work.target)))
    extent = _checked(duck, work)
    files = candidates(table, extent) if table is not None else ()
    if table is None or not files:
        if extent.rows:
            work.write(_all_new(work))
        return Merged({INSERTED: extent.rows}, ())
    duck.run(_create(_JOINED, "TABLE", _join(duck, work, table, files)))
    counts = _count(duck, work)
    if sum(counts.values()) != extent.rows:
        raise _ambiguous(
            work,
            "the table holds a key of these rows more than once",
            hint="leave one row of each key in the table, or merge by columns that tell its rows apart",
        )
    changing = [files[at] for at in _touched(duck, work)]
    if counts.get(UPDATED) or counts.get(INSERTED):
        everything = counts.get(UPDATED, 0) + counts.get(INSERTED, 0) == extent.rows
        work.write(_rewritten(duck, work, table, changing, everything=everything))
    return Merged(counts, tuple(changing))


def _create(name: str, kind: str, query: exp.Query) -> exp.Create:
    temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
    return exp.Create(this=relation(name), kind=kind, expression=query, properties=temporary)


# ---------------------------------------------------------------- what came


def _checked(duck: Duck, work: Merge) -> Extent:
    """How many rows came and between which keys. Raises DataError SNK-254 for a key twice, or null."""
    nulls = exp.or_(*[is_null(column(key)) for key in work.keys])
    key = exp.Tuple(expressions=[column(name) for name in work.keys]) if len(work.keys) > 1 else column(work.keys[0])
    bounds = [found for name in work.keys for found in (exp.Min(this=column(name)), exp.Max(this=column(name)))]
    query = exp.select(
        exp.Count(this=exp.Star()),
        call("count_if", nulls),
        exp.Count(this=exp.Distinct(expressions=[key])),
        *bounds,
    ).from_(relation(_CAME))
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
        query = exp.select(column(name)).distinct().from_(relation(_CAME))
        found[name] = frozenset(value for (value,) in duck.rows(query))
    return found


def _ambiguous(work: Merge, detail: str, *, hint: str | None = None) -> DataError:
    keys = ", ".join(f'"{key}"' for key in work.keys)
    return DataError("SNK-254", f"a merge by {keys} is ambiguous", detail=detail, hint=hint, about=("keys",))


# ---------------------------------------------------------------- what there is


def _join(duck: Duck, work: Merge, table: LakeTable, files: Sequence[DataFile]) -> exp.Select:
    """One row per row that came and, where its key is there, per row of the table that has it."""
    there = table_rows(duck, table, files, work.target, alias="t", number=work.number)
    keys = [renamed(column(key, "c"), key) for key in work.keys]
    kept = [renamed(column(name, "t"), name) for name in work.unsent]
    told = [renamed(_outcome(work), work.outcome), renamed(column(work.number, "t"), work.number)]
    came = exp.alias_(relation(_CAME), "c", table=True)
    return exp.select(*keys, *kept, *told).from_(came).join(there, on=work.same_key("c", "t"), join_type="left")


def _outcome(work: Merge) -> exp.Case:
    found = exp.Case().when(is_null(column(work.number, "t")), exp.Literal.string(INSERTED))
    if work.order_by:
        came, there = column(work.order_by, "c"), column(work.order_by, "t")
        earlier = exp.or_(is_null(came), exp.LT(this=came.copy(), expression=there))
        is_set = is_not_null(there)
        found = found.when(exp.and_(is_set, earlier), exp.Literal.string(OLDER))
    sent = [name for name in work.rows.names if name not in work.keys]
    if not sent:
        return found.else_(exp.Literal.string(UNCHANGED))
    equal = [exp.NullSafeEQ(this=column(name, "c"), expression=column(name, "t")) for name in sent]
    return found.when(exp.and_(*equal), exp.Literal.string(UNCHANGED)).else_(exp.Literal.string(UPDATED))


def _count(duck: Duck, work: Merge) -> dict[str, int]:
    outcome = column(work.outcome)
    query = exp.select(outcome, exp.Count(this=exp.Star())).from_(relation(_JOINED)).group_by(outcome.copy())
    return {str(name): int(rows) for name, rows in duck.rows(query)}


def _touched(duck: Duck, work: Merge) -> list[int]:
    query = exp.select(column(work.number)).distinct().from_(relation(_JOINED)).where(_came_to(work, UPDATED))
    return sorted(int(place) for (place,) in duck.rows(query))


def _came_to(work: Merge, *outcomes: str) -> exp.In:
    return exp.In(this=column(work.outcome), expressions=[exp.Literal.string(name) for name in outcomes])


# ---------------------------------------------------------------- what there will be


def _all_new(work: Merge) -> exp.Select:
    """The rows that came in the target's columns, null where none came."""
    chosen = [
        renamed(column(field.name) if field.name in work.rows else value_of(None, field.type), field.name)
        for field in work.target
    ]
    return exp.select(*chosen).from_(relation(_CAME))


def _rewritten(duck: Duck, work: Merge, table: LakeTable, files: Sequence[DataFile], *, everything: bool) -> exp.Query:
    """New and changed rows, and the other rows of the files that are replaced, in the target's columns.

    ``everything``: every row that came is new or changed.
    """
    changed = _changed(work, everything=everything)
    if not files:
        return changed
    old = table_rows(duck, table, files, work.target, alias="t")
    newer = exp.select(*[column(key) for key in work.keys]).from_(relation(_JOINED)).where(_came_to(work, UPDATED))
    rest = exp.select(*[column(name, "t") for name in work.target.names]).from_(old)
    rest = rest.join(newer.subquery(identifier("n")), on=work.same_key("n", "t"), join_type="anti")
    return exp.union(rest, changed, distinct=False)


def _changed(work: Merge, *, everything: bool) -> exp.Select:
    if everything and not work.unsent:
        return _all_new(work)
    chosen = [column(name, "c" if name in work.rows else "j") for name in work.target.names]
    come = exp.alias_(relation(_CAME), "c", table=True)
    told = exp.select("*").from_(relation(_JOINED)).where(_came_to(work, INSERTED, UPDATED)).subquery(identifier("j"))
    return exp.select(*chosen).from_(come).join(told, on=work.same_key("c", "j"))
