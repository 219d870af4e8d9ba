"""The desk where rejected rows are taken up again: which of them a group has, and the plan that sends them."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.compile.replay import Replayed, replayed
from penstock.disk import sync_file
from penstock.errors import ConfigError, Location, PenstockError, Problem
from penstock.fields import ExpressionText, NamedExpression
from penstock.graph.nodes import Read
from penstock.graph.replayed import SOURCE, node_of
from penstock.ledger.rejects import FOLDER, checksum_of
from penstock.ledger.state import writing_state
from penstock.run.replays import RejectedRows, Replay, columns_kept, part_of, repaired_file
from penstock.service.opening import allowance_of
from penstock.service.rejected import settled_groups
from penstock.structs import Frozen, replace
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from penstock.compile.pipeline import Compiled
    from penstock.connectors.api import Source
    from penstock.document.models import Pipeline, SinkUse
    from penstock.graph import Graph
    from penstock.ledger.api import Ledger, PipelineKey
    from penstock.ledger.rejects import Group
    from penstock.plan.stages import Plan
    from penstock.run.replays import Part
    from penstock.run.surroundings import Surroundings
    from penstock.service.opening import Opened

_OPTION: Final = "--set"


class Wanted(Frozen):
    """What is asked of the desk: a group, and how its rows are repaired: ``sets`` are ``column = expression``, or the file
    of the rows that stand in their place. ``replaces_newer``: they may replace newer rows of their keys.
    """

    node: str
    group: Group
    sets: tuple[str, ...] = ()
    repaired: Path | None = None
    replaces_newer: bool = False


class RejectsDesk(Frozen):
    """Implements ``run.surroundings.Desk``. ``around``: of a run of the whole pipeline; ``wanted`` None: nothing is asked for."""

    found: Opened
    compiled: Compiled
    around: Surroundings
    wanted: Wanted | None = None

    def begin(self) -> Surroundings | None:
        if self.wanted is None:
            return None
        replay = chosen(self.found, self.compiled, self.wanted)
        return self._made(replay) if replay is not None else None

    def again(self, replay: Replay) -> Surroundings:
        return self._made(replay)

    def _made(self, replay: Replay) -> Surroundings:
        plan, sources = planned(self.found, self.compiled, replay)
        around = self.around
        sinks = {name: sink for name, sink in around.sinks.items() if name in plan.commits}
        feeds = replace(around.feeds, plan=plan, sources=sources, sinks=sinks)
        return replace(around, plan=plan, sources=sources, sinks=sinks, feeds=feeds)


def chosen(found: Opened, compiled: Compiled, wanted: Wanted) -> Replay | None:
    """The open rows of the group, and where they enter; None where there is none.

    Raises ConfigError CMP-2xx for a repair that is wrong, CMP-390 to CMP-392 where the document does not take them, CLI-114,
    RUN-140, LED-143 where they could replace newer rows, and may not; DataError LED-120.
    """
    if found.memory is None:
        return None
    parts = open_parts(found.memory, found.key, found.state, wanted.node, wanted.group)
    if not parts:
        return None
    sets = {item.name: item.value.sql for item in map(read_set, wanted.sets)}
    repaired = _taken(found, wanted.repaired) if wanted.repaired is not None else None
    replay = Replay(
        wanted.node, *wanted.group, place="source", kept="record", sets=sets, parts=parts, repaired=repaired
    )
    try:
        replay = _placed(found, compiled, replay)
        if not wanted.replaces_newer:
            _check_newer(_compiled(found, compiled, replay).compiled)
    except PenstockError:
        if repaired is not None:
            (found.state / repaired[0]).unlink(missing_ok=True)
        raise
    return replay


def open_parts(ledger: Ledger, key: PipelineKey, state: Path, node: str, group: Group) -> tuple[Part, ...]:
    """The rows of a group that are open, oldest files first. Raises DataError LED-120."""
    outcomes = ledger.outcomes(key)
    return tuple(
        part_of(state, entry.file, settled_groups(outcomes, entry.file.path), group)
        for entry in reversed(ledger.rejects(key))
        if entry.is_open and entry.file.node == node and group in entry.left
    )


def _placed(found: Opened, compiled: Compiled, replay: Replay) -> Replay:
    """At the source where its rows are kept, or can be told; else at the node that rejected them."""
    node = compiled.written.by_id.get(node_of(replay.node))
    if isinstance(node, Read):
        return _fitting(found, compiled, replay)
    at_node = replace(replay, place="node")
    is_of_node = node_of(replay.node) == replay.node
    at_source = replace(replay, kept="source_row" if is_of_node else "record")
    if is_of_node and replay.repaired is None and not columns_kept(found.state, at_source):
        return _fitting(found, compiled, at_node)  # they are no rows of a source, one by one
    try:
        return _fitting(found, compiled, at_source)
    except ConfigError as error:
        if error.code != "CMP-392":
            raise
    return _fitting(found, compiled, at_node)


def _fitting(found: Opened, compiled: Compiled, replay: Replay) -> Replay:
    """Raises ConfigError CMP-392 where its rows were kept without a column that is read by now."""
    read = _compiled(found, compiled, replay).read
    if replay.repaired is not None:
        return replay
    kept = columns_kept(found.state, replay)
    lacking = [name for name in (read.schema or Schema(())).names if name not in kept]
    if lacking:
        without = f"they were kept without {', '.join(lacking)}"
        never = f'they never became rows of "{node_of(replay.node)}"'
        raise ConfigError(
            "CMP-392",
            f'the rejects of "{replay.node}" do not fit this document',
            detail=f"{without if kept else never}.",
            hint="give the repaired rows as a file: `penstock rejects replay FILE GROUP --file repaired.parquet`",
        )
    return replay


def _compiled(found: Opened, compiled: Compiled, replay: Replay) -> Replayed:
    return replayed(
        compiled,
        rejecting=replay.node,
        place=replay.place,
        sets=[NamedExpression(name, _expression(name, sql)) for name, sql in replay.sets.items()],
        given=_schema_of(repaired_file(found.state, replay.repaired)) if replay.repaired is not None else None,
        facts=found.facts,
        engine=found.engine,
    )


def planned(found: Opened, compiled: Compiled, replay: Replay) -> tuple[Plan, Mapping[str, Source]]:
    """The plan that sends the rows, and the sources that it reads."""
    made, sources = entered(found, compiled, replay)
    return found.plan_of(made.compiled), sources


def entered(found: Opened, compiled: Compiled, replay: Replay) -> tuple[Replayed, Mapping[str, Source]]:
    """The graph that sends the rows, and the sources that it reads. Raises as ``compile.replay.replayed``."""
    made = _compiled(found, compiled, replay)
    scratch = found.scratch / f"rejects-{uuid.uuid4().hex}"
    scratch.mkdir()
    rows = RejectedRows(
        replay,
        made.read,
        state=found.state,
        scratch=scratch,
        allowance=allowance_of(found.loaded, scratch),
        runs=found.ledger.runs_of_rejects(found.key, [part.file.path for part in replay.parts]),
    )
    used = {read.source for read in made.compiled.graph.reads}
    return made, {SOURCE: rows, **{name: source for name, source in found.sources.items() if name in used}}


def unordered(graph: Graph, pipeline: Pipeline) -> Iterator[SinkUse]:
    """The sinks behind the rejected rows that merge them and cannot tell which row of a key is newer. What is made of a
    sink's table is made of its rows as they stand: no old ones come to it.
    """
    rows = {read.id for read in graph.reads if read.source == SOURCE}
    for write in graph.writes:
        use = pipeline.sinks[write.sink]
        if use.params.mode == "merge" and not use.params.order_by and rows & graph.upstream(write.id):
            yield use


def _check_newer(replay: Compiled) -> None:
    """Raises ConfigError LED-143."""
    problems = [
        Problem(
            "LED-143",
            f'the rejected rows could replace newer ones of "{use.name}", which does not say which row of a key is newer',
            at=use.at,
            hint="name the column that does: `order_by: updated_at`; or send them with --replace-newer where their "
            "keys have no newer rows",
        )
        for use in unordered(replay.graph, replay.pipeline)
    ]
    if problems:
        raise ConfigError.of(problems)


def warnings_of(uses: Iterable[SinkUse]) -> Iterator[Problem]:
    """RUN-142 for each of the sinks in which an old row may replace a newer one."""
    for use in uses:
        yield Problem(
            "RUN-142",
            f'the sink "{use.name}" does not say which row of a key is newer',
            at=use.at,
            hint="name the column that does: `order_by: updated_at`; else these rows replace those of their keys, which "
            "`rejects replay` does with --replace-newer alone",
            severity="warning",
        )


# ---------------------------------------------------------------- repairs


def read_set(text: str) -> NamedExpression:
    """``price = replace(price, ',', '.')``. Raises ConfigError CLI-114."""
    name, equals, value = text.partition("=")
    column = name.strip().removeprefix('"').removesuffix('"')
    if not equals or not column or not value.strip():
        raise ConfigError(
            "CLI-114",
            f'"{text}" is no column and its new value',
            hint=f"write {_OPTION} \"price = replace(price, ',', '.')\"",
        )
    return NamedExpression(column, _expression(column, value.strip()))


def _expression(name: str, sql: str) -> ExpressionText:
    """Problems point into what was written behind the option."""
    line, before = f"{name} = {sql}", len(f"{name} = ")

    def place(start: int, length: int) -> Location:
        begin = before + start + 1
        return Location(_OPTION, 1, begin, begin + max(length, 1), line)

    return ExpressionText(sql, place, in_yaml=False)


def _schema_of(path: Path) -> Schema:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from penstock.types.arrow import from_arrow

    try:
        return from_arrow(pq.read_schema(path)).relaxed()
    except OSError as error:
        raise _no_rows(path, os.strerror(error.errno) if error.errno else str(error)) from None
    except pa.ArrowException as error:
        raise _no_rows(path, str(error)) from None


def _taken(found: Opened, path: Path) -> tuple[str, str]:
    """A copy of the file that is the replay's own, durable: its place below the state folder, and its checksum."""
    _schema_of(path)
    key = found.key
    folder = Path(FOLDER) / key.project / key.environment / key.pipeline
    own = folder / f"repaired-{uuid.uuid4().hex[:8]}.parquet"
    target = found.state / own
    with writing_state(target):
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        shutil.copyfile(path, target)
        sync_file(target)
        with target.open("rb") as content:
            return str(own), checksum_of(content)


def _no_rows(path: Path, why: str) -> ConfigError:
    return ConfigError(
        "RUN-140",
        f'"{path}" is no file of repaired rows',
        detail=f"{why.rstrip('.')}.",
        hint="give a Parquet file with the columns that the rows have",
    )
