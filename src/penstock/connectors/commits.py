"""What every sink decides before it commits and before it changes its target, in one place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Literal

from penstock.connectors.api import EpochMarker, Preparation, WriteMode
from penstock.errors import ConfigError, DataError, FatalError, PenstockError, Problem, nearest
from penstock.fields import Located
from penstock.types import Field, Schema
from penstock.types.compatibility import can_hold, widen
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from penstock.connectors.api import Context, Epoch
    from penstock.connectors.params import SinkParams

Policy = Literal["fail", "evolve", "ignore", "replace"]  # the last: of a full refresh, whatever the document says

# The keys that a difference between rows and target is about.
_POLICY_OR_TARGET: Final = ("on_schema_change", "table", "path")

# Why the system has no place for a column, in words that follow 'column "x" of type t cannot be held: '; None: it has.
Objection = Callable[[Field], str | None]


def is_committed(marker: EpochMarker | None, epoch: Epoch, *, newest: int) -> bool:
    """Whether the marker already stands at this epoch, so that the commit has nothing to do. ``newest`` is the highest fence
    that the sink has seen under any incarnation: who was overtaken by a full refresh commits no more.

    Raises FatalError SNK-120 where the epoch neither follows the marker nor equals it, or a fence is newer.
    """
    last, fence = (marker.epoch, marker.fence) if marker else (0, 0)
    check_fence(max(fence, newest), epoch)
    if epoch.number not in (last, last + 1):
        raise FatalError(
            "SNK-120",
            f'epoch {epoch.number} does not follow what sink "{epoch.sink_id.sink}" has committed',
            detail=f"its marker stands at epoch {last}" if marker else "it has no marker of this incarnation",
        )
    return marker is not None and epoch.number == last


def check_fence(newest: int, epoch: Epoch) -> None:
    """``newest`` is the highest fence that the sink has seen. Raises FatalError SNK-120 where it is not this runner's."""
    if newest > epoch.fence:
        raise taken_over(epoch, f"its fence is {newest}, this run holds {epoch.fence}")


def taken_over(epoch: Epoch, detail: str) -> FatalError:
    """SNK-120: a newer runner has the sink."""
    return FatalError("SNK-120", f'sink "{epoch.sink_id.sink}" has been taken over by another run', detail=detail)


@contextmanager
def clearing_up() -> Iterator[None]:
    """Around the removal of what no commit needs any more, or ever will: what cannot be removed now (the store is away, or its
    keys may not delete) stays where it is, and is no error. What was committed is committed, and ``Sink.marker`` tries again
    at the next start. Not around what says who may commit, nor where something that is there means "not published".
    """
    with suppress(OSError, PenstockError):
        yield


def fingerprint(*parts: str) -> str:
    """16 hex digits that stand for exactly these texts, in names of files and tables."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def refuse_empty(mode: WriteMode, rows: int, *, allow_empty: bool, sink: str) -> None:
    """Raises DataError SNK-114 where no rows would overwrite a whole table and nobody said that this is meant."""
    if mode is WriteMode.OVERWRITE and rows == 0 and not allow_empty:
        raise DataError(
            "SNK-114",
            f'the input of sink "{sink}" is empty and would overwrite its table',
            hint="state allow_empty: true if an empty table is meant",
        )


def policy_of(params: SinkParams, context: Context) -> Policy:
    """What becomes of columns that differ."""
    return "replace" if context.refreshes else params.on_schema_change


def compare(
    target: Schema | None,
    rows: Schema,
    *,
    policy: Policy,
    needed: Iterable[str] = (),
    objection: Objection | None = None,
    fixed: str | None = None,
    most: int | None = None,
    sink: str = "",
) -> Preparation:
    """What has to change so that the target takes these rows.

    ``needed`` are columns that must be among the rows' (keys, order_by, partition_by); ``fixed`` says why the
    target's types never change, where they do not; ``most`` is how many columns it may have; ``sink`` is its name in the
    document. A column of the target that the rows lack is no difference. Raises ConfigError with all that is wrong of
    SNK-110, SNK-111, SNK-112, SNK-113, SNK-115.
    """
    stays = None if policy == "replace" else target
    sent = rows if stays is None or policy == "evolve" else None
    problems = [
        *_missing(rows, needed, sink),
        *_objections(rows, objection),
        *_collisions(stays, rows, sink),
        *_too_many(stays, sent, sink, most=most),
    ]
    if target is None or policy == "replace":
        if problems:
            raise ConfigError.of(problems)
        return Preparation(creates=target is None, replaces=target is not None and not _fits(target, rows))
    adds = tuple(column for column in rows if column.name not in target)
    folded = {fold_case(name) for name in target.names}
    unknown = [column for column in adds if fold_case(column.name) not in folded]  # else SNK-113 tells of it
    if unknown and policy == "fail":
        problems.append(
            Problem(
                "SNK-111",
                f'sink "{sink}" has no column {_quoted(unknown)}',
                detail=f"its columns are {', '.join(target.names)}",
                hint="state on_schema_change: evolve to add columns, or ignore to leave them out",
                about=_POLICY_OR_TARGET,
            )
        )
    widens, refused = _widened(target, rows, sink, may_widen=policy == "evolve", fixed=fixed)
    if problems or refused:
        raise ConfigError.of([*problems, *refused])
    return Preparation(ignores=adds) if policy == "ignore" else Preparation(adds=adds, widens=widens)


def _fits(target: Schema, rows: Schema) -> bool:
    """Whether the target has the columns of the rows and no others, each in a type that takes theirs."""
    return set(target.names) == set(rows.names) and all(can_hold(target[item.name].type, item.type) for item in rows)


def _quoted(columns: Iterable[Field]) -> str:
    return ", ".join(f'"{column.name}"' for column in columns)


def evolved(target: Schema | None, rows: Schema, change: Preparation) -> Schema:
    """The target's columns after the change."""
    if target is None or change.replaces:
        return rows
    return target.with_fields([*(new for _, new in change.widens), *change.adds])


def _missing(rows: Schema, needed: Iterable[str], sink: str) -> Iterator[Problem]:
    for name in needed:
        if name not in rows:
            near = nearest(name, rows.names)
            yield Problem(
                "SNK-112",
                f'sink "{sink}" needs column "{name}", which is not among its rows\' columns',
                at=name.at if isinstance(name, Located) else None,
                detail=f"the columns are {', '.join(rows.names)}",
                hint=f'did you mean "{near}"?' if near else None,
            )


def _objections(rows: Schema, objection: Objection | None) -> Iterator[Problem]:
    for column in rows if objection else ():
        reason = objection(column) if objection else None
        if reason:
            yield Problem("SNK-110", f'column "{column.name}" of type {column.type} cannot be held: {reason}')


def _collisions(target: Schema | None, rows: Schema, sink: str) -> Iterator[Problem]:
    for one, other in (target.with_fields(rows) if target else rows).case_collisions():
        hint = f'rename "{other}" in a step before' if other in rows else None
        if hint and one not in rows:
            hint += f'; as "{one}" it is the target\'s column'
        yield Problem("SNK-113", f'columns "{one}" and "{other}" of sink "{sink}" differ only in case', hint=hint)


def _too_many(stays: Schema | None, sent: Schema | None, sink: str, *, most: int | None) -> Iterator[Problem]:
    count = len({name for columns in (stays, sent) if columns is not None for name in columns.names})
    if most is not None and count > most:
        message = f'the table of sink "{sink}" would have {count} columns, and its system has at most {most}'
        yield Problem("SNK-115", message, hint="select fewer columns", about=_POLICY_OR_TARGET)


def _widened(
    target: Schema, rows: Schema, sink: str, *, may_widen: bool, fixed: str | None
) -> tuple[tuple[tuple[Field, Field], ...], tuple[Problem, ...]]:
    """The columns to widen, old and new, and what is said of those that do not fit."""
    changes: list[tuple[Field, Field]] = []
    refused: list[Problem] = []
    for column in rows:
        old = target.get(column.name)
        if old is None or can_hold(old.type, column.type):
            continue
        wider = None if fixed else widen(old.type, column.type)
        if wider is not None and may_widen:
            changes.append((old, Field(old.name, wider, nullable=old.nullable, labels=old.labels)))
            continue
        message = f'column "{column.name}" of sink "{sink}" has the type {old.type}, not {column.type}'
        evolving = "state on_schema_change: evolve to widen it"
        hint = evolving if wider else "cast the column, state its type in a `schema`, or name another target"
        refused.append(Problem("SNK-111", message, detail=fixed, hint=hint, about=_POLICY_OR_TARGET))
    return tuple(changes), tuple(refused)
