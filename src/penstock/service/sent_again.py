"""What a sink should hold of rows that were rejected, repaired and sent again: nothing that its source gives.

The ledger has every replay as the range of an epoch: which rows of which reject files, repaired how. So its rows are made
once more, by the document as it is now, as the source's own are. Where the same key comes from the source as well, mended
there by now or always good in another row, either may be the later one: no cursor says which. There what the table holds
decides, if it is one of the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.compile.reads import only
from penstock.compile.reconcile import FINGERPRINT
from penstock.errors import ConfigError, PenstockError, Problem
from penstock.graph import Graph
from penstock.graph.moment import at_moment
from penstock.run.feeds import as_they_stand
from penstock.run.replays import replay_of
from penstock.service.copied import Copied, made_of
from penstock.service.desk import entered
from penstock.service.given import without_ends
from penstock.structs import Frozen, replace
from penstock.trees import call, column, relation, union_all
from penstock.types import INT64, Field, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from penstock.compile.pipeline import Compiled
    from penstock.compile.reconcile import Comparison
    from penstock.ledger.api import EpochRecord
    from penstock.run.replays import Replay
    from penstock.service.opening import Opened

TURN: Final = "turn"  # of several replays, which came later
_STANDS: Final = "stands"
_PRESENT: Final = "present"


class ReplayedRows(Frozen):
    """``rows`` has the keys, the fingerprint, the values and the turn of what replays sent to the sink; None: they sent
    nothing. ``warnings``: of those whose rows can no longer be known.
    """

    rows: Copied | None
    warnings: tuple[Problem, ...] = ()


def sent_again(found: Opened, sink: str, comparison: Comparison, *, incarnation: str, folder: Path) -> ReplayedRows:
    """Of the sealed replays of this incarnation. ``folder`` is private."""
    epochs = list(_replays(found, sink, incarnation))
    if not epochs:
        return ReplayedRows(None)
    compiled = found.compile(pipeline=replace(only(found.pipeline, (sink,)), rejects=None))
    appends = str(found.pipeline.sinks[sink].params.mode) == "append"
    copies: list[Copied] = []
    warnings: list[Problem] = []
    for place, (record, replay) in enumerate(_joined(epochs) if appends else epochs):
        into = folder / f"sent{place}.arrow"
        try:
            copy = _made(found, compiled, replay, sink, comparison=comparison, into=into)
        except PenstockError as error:
            warnings.append(_lost(found, sink, record, error.problems[0]))
        else:
            copies += [copy] if copy is not None else []
    if not copies:
        return ReplayedRows(None, tuple(warnings))
    schema = Schema((*comparison.row_schema, Field(TURN, INT64)))
    parts = [
        exp.select("*", exp.alias_(exp.cast(exp.Literal.number(turn), "bigint"), TURN)).from_(relation(copy.read.id))
        for turn, copy in enumerate(copies)
    ]
    return ReplayedRows(
        made_of(copies, union_all(parts), schema=schema, into=folder / "sent_again.arrow"), tuple(warnings)
    )


def _replays(found: Opened, sink: str, incarnation: str) -> Iterator[tuple[EpochRecord, Replay]]:
    """That sent rows to the sink, in their order."""
    runs = {one.by for one in found.ledger.outcomes(found.key) if one.outcome == "replayed"}
    records = {
        record.number: record
        for run_id in runs
        for record in found.ledger.epochs(run_id)
        if record.incarnation == incarnation and record.sealed_at is not None and sink in record.sinks
    }
    for _, record in sorted(records.items()):
        replay = replay_of(record.ranges)
        if replay is not None:
            yield record, replay


def _joined(epochs: Sequence[tuple[EpochRecord, Replay]]) -> Iterator[tuple[EpochRecord, Replay]]:
    """Replays of one group and one repair as one: what is appended is not replaced by what comes later."""
    alike: dict[object, tuple[EpochRecord, Replay]] = {}
    for record, replay in epochs:
        way = (replay.node, replay.group, replay.place, replay.kept, tuple(replay.sets.items()), replay.repaired)
        before = alike[way][1].parts if way in alike else ()
        alike[way] = (record, replace(replay, parts=(*before, *replay.parts)))
    yield from alike.values()


def _lost(found: Opened, sink: str, record: EpochRecord, problem: Problem) -> Problem:
    return Problem(
        "RUN-170",
        f'what epoch {record.number} sent again to "{sink}" can no longer be known: {problem.message}',
        at=found.pipeline.sinks[sink].at,
        detail="Its rows are told as extra.",
        severity="warning",
    )


def _made(
    found: Opened, compiled: Compiled, replay: Replay, sink: str, *, comparison: Comparison, into: Path
) -> Copied | None:
    """None where the sink is made anew of a table, which has these rows. Raises as ``desk.entered``, and as reading does."""
    made, sources = entered(found, compiled, replay)
    write = next((write for write in made.compiled.graph.writes if write.sink == sink), None)
    if write is None:
        raise ConfigError("CMP-392", f'the rejects of "{replay.node}" no longer lead to "{sink}"')
    part = made.compiled.graph.only(made.compiled.graph.upstream(write.input))
    if made.read.id not in part.by_id:
        return None
    graph = at_moment(without_ends(part), found.request.clock.now())
    sent = made.compiled.written[write.id].schema or Schema(())
    lacking = [item.name for item in comparison.columns if item.name not in sent]
    if lacking:
        raise ConfigError("CMP-423", f"they were sent without {', '.join(lacking)}")
    node = comparison.rows(write.input, sent)
    inputs = as_they_stand(graph, sources, sinks=found.sinks, scratch=into.parent)
    return Copied.of(
        found.engine, Graph((*graph.nodes, node)), node.id, inputs, schema=comparison.row_schema, into=into
    )


# ---------------------------------------------------------------- with the source's rows


def together(
    name: str, given: Copied, sent: Copied | None, target: Copied, *, comparison: Comparison, adds: bool, folder: Path
) -> Copied:
    """The rows that the table should hold, by the ``name``. ``given`` are the source's; ``adds``: the table has both."""
    if sent is None:
        return given.named(name)
    keys = [place.name for place in comparison.places]
    row = [*map(column, keys), column(FINGERPRINT)]
    own = exp.select(*row).from_(relation(given.read.id))
    into = folder / f"{name}.arrow"
    if adds:
        more = exp.select(*row).from_(relation(sent.read.id))
        return made_of((given, sent), union_all([own, more]), schema=comparison.schema, into=into)
    stands = made_of(
        (sent, target), _standing(sent, target, keys), schema=comparison.schema, into=folder / f"{_STANDS}.arrow"
    )
    others = _apart(own, keys, of=given.read.id, other=relation(stands.read.id))
    last = exp.alias_(call("arg_max", column(FINGERPRINT), column(TURN)), FINGERPRINT)
    latest = exp.select(*map(column, keys), last).from_(relation(sent.read.id)).group_by(*map(column, keys))
    present = exp.select(*(column(key, given.read.id) for key in keys)).from_(relation(given.read.id))
    present = present.join(relation(sent.read.id), on=_same(keys, given.read.id, sent.read.id), join_type="semi")
    alone = exp.select("*").from_(latest.subquery("latest"))
    alone = _apart(alone, keys, of="latest", other=present.subquery(_PRESENT))
    alone = _apart(alone, keys, of="latest", other=relation(stands.read.id))
    repaired = exp.select(*row).from_(relation(stands.read.id))
    return made_of((given, sent, stands), union_all([others, repaired, alone]), schema=comparison.schema, into=into)


def _standing(sent: Copied, target: Copied, keys: Sequence[str]) -> exp.Query:
    """The rows that were sent again and are what the table has of their keys."""
    held = exp.alias_(call("arg_min", column(FINGERPRINT, target.read.id), column(FINGERPRINT, target.read.id)), "held")
    named = [column(key, target.read.id) for key in keys]
    one = (
        exp.select(*named, held)
        .from_(relation(target.read.id))
        .join(relation(sent.read.id), on=_same(keys, target.read.id, sent.read.id), join_type="semi")
        .group_by(*named)
        .having(exp.EQ(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1)))
    )
    is_it = exp.and_(
        _same(keys, "one", sent.read.id),
        exp.EQ(this=column("held", "one"), expression=column(FINGERPRINT, sent.read.id)),
    )
    return (
        exp.select(*(column(key, "one") for key in keys), exp.alias_(column("held", "one"), FINGERPRINT))
        .from_(one.subquery("one"))
        .join(relation(sent.read.id), on=is_it, join_type="semi")
    )


def _apart(query: exp.Select, keys: Sequence[str], *, of: str, other: exp.Table | exp.Subquery) -> exp.Select:
    """Without the rows of keys that the other has."""
    return query.join(other, on=_same(keys, of, other.alias_or_name), join_type="anti")


def _same(keys: Sequence[str], one: str, other: str) -> exp.Expr:
    return exp.and_(*(exp.NullSafeEQ(this=column(key, one), expression=column(key, other)) for key in keys))


__all__ = ["TURN", "ReplayedRows", "sent_again", "together"]
