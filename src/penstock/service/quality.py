"""``quality``: what the rules of a pipeline found in one of its runs, scored, beside what they found before.

A rule's score is 1 where nothing violates it: of a rule about rows the share of rows that do not, of a rule about all rows
1 or 0. That of a dataset, of a dimension, of a run is the mean of its rules' scores by their weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args

from penstock.connectors.families import is_family
from penstock.document.assembly import load
from penstock.errors import ConfigError
from penstock.registry import Dimension
from penstock.run.replays import replay_of
from penstock.service.causes import group_name
from penstock.service.families import PerPart
from penstock.service.ledgers import find_ledger, key_of
from penstock.service.recalled import REMEMBERED
from penstock.service.remembering import no_run, run_of
from penstock.structs import Frozen, asdict, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from penstock.connectors.api import Json
    from penstock.document.assembly import Loaded
    from penstock.ledger.api import EpochRecord, Ledger, NodeBalance, PipelineKey, RuleResult, RunRecord
    from penstock.service.request import Request

_SHOWN: Final = 20  # runs of the history
_SAMPLES: Final = 5  # rows of each rule
_DIMENSIONS: Final = get_args(Dimension)

__all__ = ["Alike", "Dataset", "Quality", "RuleScore", "SentAgain", "pipelines_of", "quality"]


class RuleScore(Frozen):
    """One rule in one run. ``violating`` of ``rows``, both of all its epochs; None: a rule about all rows, of which
    ``measured``, ``said`` and ``note`` (what is to be said in any case) are those of the last epoch that violated it, else of
    the last. ``about`` has the settings that the run's document gave it, as texts. ``samples`` are some of the violating rows where the rule lets them pass, by column. ``history`` has its
    scores in earlier runs and this one, oldest first.
    """

    rule: str
    kind: str
    dimension: str
    weight: float
    on_fail: str
    rows: int
    violating: int | None
    measured: Mapping[str, float | None]
    said: str | None
    score: float
    about: Mapping[str, str] = {}
    note: str | None = None
    samples: tuple[Mapping[str, Json], ...] = ()
    history: tuple[float, ...] = ()


class Dataset(Frozen):
    """A source, a transform or a sink with rules. ``score`` None: none of its rules has a weight. ``unseen`` are rows that its
    source or a step rejected before any rule saw them (a text that is no number): no score counts them.
    """

    name: str
    rules: tuple[RuleScore, ...]
    unseen: int = 0

    @property
    def score(self) -> float | None:
        return _mean(self.rules)

    @property
    def dimensions(self) -> Mapping[str, float]:
        return _by_dimension(self.rules)


class Alike(Frozen):
    """A sink whose table the run compared with its source: keys that differ, by what is wrong with them."""

    sink: str
    against: str
    rows: Mapping[str, int]
    differences: Mapping[str, int]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Alike:
        """Of what a run's summary says."""
        differences = {kind: keys for kind, keys in told["differences"].items() if kind != "newer"}
        return cls(told["sink"], told["against"], told["rows"], differences)

    def __str__(self) -> str:
        """``out against raw: all 7 rows alike``."""
        kinds = ", ".join(f"{keys:,} {kind}" for kind, keys in self.differences.items())
        found = f"{kinds} of {self.rows['target']:,}" if kinds else f"all {self.rows['target']:,} rows alike"
        return f"{self.sink} against {self.against}: {found}"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "agrees": not self.differences}


class SentAgain(Frozen):
    """Rejected rows of a group that were repaired and sent again by ``run_id``, once the run of the report had loaded."""

    group: str
    run_id: str
    rows: int
    rejected: int

    def __str__(self) -> str:
        """``raw/bad_value/price: 3 rows sent again since, 1 rejected again (run …)``."""
        rows = f"{self.rows:,} row{'' if self.rows == 1 else 's'}"
        return f"{self.group}: {rows} sent again since, {self.rejected:,} rejected again (run {self.run_id})"


class Quality(Frozen):
    """The report of one run, sealed at ``at``. ``history`` are the scores of runs that load, oldest first, this one the
    last; ``reconciled`` are its sinks that say ``reconcile:``; ``sent_again`` is what was sent again between it and the next
    load, oldest first. ``is_replay``: of a run that itself only sent rows again.
    """

    pipeline: str
    run_id: str
    at: datetime
    datasets: tuple[Dataset, ...]
    history: tuple[float, ...] = ()
    reconciled: tuple[Alike, ...] = ()
    sent_again: tuple[SentAgain, ...] = ()
    is_replay: bool = False

    @property
    def rules(self) -> tuple[RuleScore, ...]:
        return tuple(rule for dataset in self.datasets for rule in dataset.rules)

    @property
    def score(self) -> float | None:
        return _mean(self.rules)

    @property
    def dimensions(self) -> Mapping[str, float]:
        return _by_dimension(self.rules)

    def to_json(self) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline,
            "run_id": self.run_id,
            "kind": "replay" if self.is_replay else "load",
            "sealed_at": self.at.isoformat(),
            "score": self.score,
            "dimensions": dict(self.dimensions),
            "history": list(self.history),
            "datasets": [
                {
                    "name": dataset.name,
                    "score": dataset.score,
                    "dimensions": dict(dataset.dimensions),
                    "rejected_before_rules": dataset.unseen,
                    "rules": [asdict(rule) for rule in dataset.rules],
                }
                for dataset in self.datasets
            ],
            "reconciled": [one.to_json() for one in self.reconciled],
            "sent_again": [asdict(one) for one in self.sent_again],
        }


def quality(request: Request, run_id: str | None = None) -> PerPart[Quality]:
    """Of a run of the document's pipeline (an id or its prefix), by default of the newest that loaded anything; of a document
    with ``tables:`` of each table's, and of what reads none, as far as they sealed one. Asks no source.

    Raises ConfigError LED-130, LED-133, LED-134 (a run of another pipeline), and LED-135 where nothing was sealed.
    """
    loaded = load(request.file, request.settings)
    key = key_of(loaded)
    ledger = find_ledger(loaded.project, loaded.ledger)
    if ledger is None:
        raise no_run(run_id)
    try:
        of_tables, known = _has_tables(loaded), pipelines_of(ledger, loaded)
        if run_id is not None:
            run = run_of(ledger, run_id)
            if run.key not in known:
                raise _not_of(run, key)
            return PerPart((_report(ledger, run.key, run),), of_tables)
        if not of_tables:
            return PerPart((_report(ledger, key),), of_tables)
        found = tuple(_report(ledger, other) for other in known if ledger.history(other, limit=1))
        if not found:
            raise _sealed_nothing(key, None)
        return PerPart(found, of_tables)
    finally:
        ledger.close()


def pipelines_of(ledger: Ledger, loaded: Loaded) -> list[PipelineKey]:
    """The document's, or those of its tables that ever ran, and of what reads none."""
    key = key_of(loaded)
    return [other for other in ledger.pipelines() if _is_part(other, key)] if _has_tables(loaded) else [key]


def _has_tables(loaded: Loaded) -> bool:
    return any(is_family(use.descriptor, use.params) for use in loaded.pipeline.sources.values())


def _is_part(other: PipelineKey, key: PipelineKey) -> bool:
    """Whether it is the document's pipeline, or that of one of its tables (``shop/crm.sales.orders``)."""
    return replace(other, pipeline=other.pipeline.partition("/")[0]) == key


def _not_of(run: RunRecord, key: PipelineKey) -> ConfigError:
    return ConfigError(
        "LED-134",
        f'the run "{run.run_id}" is one of "{run.key.pipeline}", not of "{key.pipeline}"',
        hint="`penstock runs list` shows which run is whose",
    )


def _sealed_nothing(key: PipelineKey, run_id: str | None) -> ConfigError:
    return ConfigError(
        "LED-135",
        f'the pipeline "{key.pipeline}" has sealed nothing yet' if run_id is None else f'"{run_id}" sealed nothing',
        hint="a report is of what a run committed; `penstock rejects list` has what a failed one refused",
    )


_Sealed: TypeAlias = "tuple[EpochRecord, Sequence[NodeBalance]]"


def _report(ledger: Ledger, key: PipelineKey, run: RunRecord | None = None) -> Quality:
    """``run`` None: the newest that loaded anything."""
    history = ledger.history(key, limit=REMEMBERED)
    loads, replays = _by_run(history, replays=False), _by_run(history, replays=True)
    asked = run.run_id if run is not None else next(iter([*loads, *replays]), None)
    if asked is None or asked not in {*loads, *replays}:
        raise _sealed_nothing(key, asked)
    # A run may have finished what another one was killed in: it is reported by what it loaded.
    is_replay = asked not in loads
    by_run = replays if is_replay else loads
    oldest_first = list(by_run)[::-1]
    upto = [asked] if is_replay else oldest_first[: oldest_first.index(asked) + 1][-_SHOWN:]
    scored = {name: _datasets([entries for _, entries in by_run[name]]) for name in upto}
    past: dict[tuple[str, str], list[float]] = {}
    for datasets in scored.values():
        for name, rules in datasets.items():
            for rule in rules:
                past.setdefault((name, rule.rule), []).append(rule.score)
    shown = tuple(
        Dataset(
            name,
            tuple(replace(rule, history=tuple(past[name, rule.rule])) for rule in rules),
            sum(_unseen(name, entries) for _, entries in by_run[asked]),
        )
        for name, rules in scored[asked].items()
    )
    means = [_mean([rule for rules in datasets.values() for rule in rules]) for datasets in scored.values()]
    last = by_run[asked][-1][0]
    return Quality(
        key.pipeline,
        asked,
        last.sealed_at or last.planned_at,
        shown,
        tuple(score for score in means if score is not None),
        tuple(map(Alike.of, _summary(ledger, asked).get("reconciled", ()))),
        () if is_replay else _sent_again(history, asked),
        is_replay,
    )


def _by_run(history: Sequence[_Sealed], *, replays: bool) -> dict[str, list[_Sealed]]:
    """The epochs that load, or those that sent rejected rows again, by the run that sealed them, which are newest first."""
    found: dict[str, list[_Sealed]] = {}
    for epoch, entries in history:
        if (replay_of(epoch.ranges) is not None) is replays:
            found.setdefault(epoch.run_id, []).insert(0, (epoch, entries))
    return found


def _sent_again(history: Sequence[_Sealed], run_id: str) -> tuple[SentAgain, ...]:
    """What was sent again between that run's last load and the next one."""
    found: list[SentAgain] = []
    for epoch, entries in history:
        replay = replay_of(epoch.ranges)
        if replay is not None:
            rejected = sum(entry.rejected for entry in entries)
            found.insert(0, SentAgain(group_name(replay.node, replay.group), epoch.run_id, replay.rows, rejected))
        elif epoch.run_id == run_id:
            return tuple(found)
        else:
            found.clear()
    return ()


def _unseen(name: str, entries: Sequence[NodeBalance]) -> int:
    """The rows of an epoch that were rejected on the way to the dataset's rules, and not by other rules."""
    by_node = {entry.node: entry for entry in entries}
    todo = [entry.node for entry in entries if entry.rules and entry.node.removesuffix(".rules") == name]
    seen: set[str] = set(todo)
    while todo:
        new = (by_node[todo.pop()].into.keys() & by_node.keys()) - seen
        seen |= new
        todo += new
    return sum(by_node[node].rejected for node in seen if not by_node[node].rules)


def _summary(ledger: Ledger, run_id: str) -> Mapping[str, Any]:
    """What the run printed; nothing of one that goes on, or was killed."""
    return next((run.summary for run in ledger.runs_beginning(run_id, limit=1)), {})


def _datasets(epochs: Sequence[Sequence[NodeBalance]]) -> dict[str, list[RuleScore]]:
    """The rules of a run by what they stand on, in the graph's order."""
    found: dict[str, dict[str, list[tuple[int, RuleResult]]]] = {}
    for entries in epochs:
        for entry in entries:
            for rule in entry.rules:
                by_rule = found.setdefault(entry.node.removesuffix(".rules"), {})
                by_rule.setdefault(rule.rule, []).append((sum(entry.into.values()), rule))
    return {name: [_scored(results) for results in rules.values()] for name, rules in found.items()}


def _scored(results: Sequence[tuple[int, RuleResult]]) -> RuleScore:
    rows = sum(number for number, _ in results)
    told = next((rule for _, rule in reversed(results) if rule.broken is not None), results[-1][1])
    violating: int | None = None
    if told.violating is None:
        score = sum(1 for _, rule in results if rule.broken is None) / len(results)
    else:
        violating = sum(rule.violating or 0 for _, rule in results)
        score = 1 - violating / rows if rows else 1.0
    return RuleScore(
        told.rule,
        told.kind,
        told.dimension,
        told.weight,
        told.on_fail,
        rows,
        violating,
        told.shown,
        told.broken,
        score,
        told.about,
        told.note,
        tuple(sample for _, rule in results for sample in rule.samples)[:_SAMPLES],
    )


def _mean(rules: Iterable[RuleScore]) -> float | None:
    weighed = [(rule.weight, rule.score) for rule in rules if rule.weight]
    whole = sum(weight for weight, _ in weighed)
    return sum(weight * score for weight, score in weighed) / whole if whole else None


def _by_dimension(rules: Sequence[RuleScore]) -> dict[str, float]:
    found = {name: _mean(rule for rule in rules if rule.dimension == name) for name in _DIMENSIONS}
    return {name: score for name, score in found.items() if score is not None}
