"""``torture``: a pipeline over scratch copies of its sinks, killed, cut off and overtaken; what is there afterwards against
what undisturbed runs leave.

Every trial has a room of its own (scratch_sinks.py) and begins with nothing in it. After the blow the pipeline is run until
a run comes to its end; the room then has as many loads in it as the ledger says, and must hold what as many undisturbed
runs leave.
"""

from __future__ import annotations

import random
import shutil
import sys
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from penstock.compile.warnings import nothing_written
from penstock.document.assembly import load
from penstock.errors import ConfigError, FatalError, InternalError, PenstockError
from penstock.faults.children import KILLED, Children
from penstock.faults.trials import Kind, first_walk, trials
from penstock.fields import parse_duration
from penstock.service.contents import Comparison, Contents, SinkDifference, looked_into, sealed
from penstock.service.ledgers import key_of
from penstock.service.opening import opened
from penstock.service.scratch import scratch_folder
from penstock.service.scratch_sinks import PREFIX, Room, moved, needs_places, refusals, remove_places, there
from penstock.service.torture_notes import all_notes, forsaken, noted, notes_of
from penstock.service.victims import Order, obey
from penstock.structs import Frozen, Mutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from penstock.document.assembly import Loaded
    from penstock.faults.children import Child
    from penstock.faults.points import Act
    from penstock.faults.trials import Trial
    from penstock.service.request import Request
    from penstock.service.victims import Told

__all__ = ["Bounds", "Breach", "Kind", "SinkDifference", "Tortured", "Tried", "new_seed", "seconds_of", "torture"]

_LEAST_LIMIT_S: Final = 60.0
_LIMIT: Final = 20  # times as long as an undisturbed run took: longer, and a run hangs
_OVERTAKES_S: Final = 5.0  # how long the second run has, while the first one stands still and may hold a file
_LEASE_S: Final = 600.0  # ahead of the first run's clock, by which its lease is over


class Breach(Frozen):
    """A trial after which something is not as it should be. ``words`` are what else is wrong than rows of sinks.
    ``broken``: whether it breaks what the pipeline guarantees.
    """

    trial: Trial
    sinks: tuple[SinkDifference, ...]
    words: tuple[str, ...]
    broken: bool

    @property
    def lost(self) -> int:
        return sum(one.lost for one in self.sinks)

    @property
    def doubled(self) -> int:
        return sum(one.doubled for one in self.sinks)


class Tried(Frozen):
    """All trials of one kind: how many, in how many of them the blow struck a run that was under way, and what came of it."""

    kind: Kind
    trials: int
    struck: int
    lost: int
    doubled: int
    broken: int


class Tortured(Frozen):
    """``guarantee`` is what the pipeline promises; ``points`` how often an undisturbed run passes each crash point;
    ``untried`` how many of them were not walked in every way in the time there was; ``unsteady`` columns, by sink, which no
    two runs give alike, so that they were not compared.
    """

    pipeline: str
    guarantee: str
    seed: int
    seconds: float
    points: Mapping[str, int]
    tried: tuple[Tried, ...]
    breaches: tuple[Breach, ...]
    untried: int
    unsteady: Mapping[str, frozenset[str]]

    @property
    def trials(self) -> int:
        return sum(one.trials for one in self.tried)

    @property
    def holds(self) -> bool:
        return not any(breach.broken for breach in self.breaches)


class Bounds(Frozen):
    """No trial is begun after so many ``seconds`` from the first one on, nor more than so many ``trials``; of the crash points
    only those with the ``chosen`` text in their names.
    """

    seconds: float
    trials: int | None = None
    chosen: str = ""


def torture(request: Request, bounds: Bounds, *, seed: int, told: Callable[[str], None] = lambda _: None) -> Tortured:
    """Undisturbed runs come before any trial. ``told`` hears of each.

    Raises ConfigError with all that is wrong in the document, FLT-111 (a sink has no scratch copy), FLT-113 (no two runs
    give the same rows), FLT-114 (no such crash point); FatalError FLT-112 (an undisturbed run fails); and what making a
    place on a server raises.
    """
    loaded = load(request.file, request.settings)
    _check(loaded)
    with scratch_folder() as folder, ExitStack() as stack:
        chamber = stack.enter_context(_chamber(request, loaded, folder.resolve()))
        chamber.clear_up(told)
        undisturbed = stack.enter_context(_undisturbed(chamber, told))
        points = _chosen(undisturbed.passed, bounds.chosen)
        tally = _Tally(undisturbed.guarantee)
        left = set(first_walk(points))
        begun = request.clock.monotonic()
        for trial in islice(trials(points, random.Random(seed)), bounds.trials):  # noqa: S311 -- to be had again
            if request.clock.monotonic() - begun >= bounds.seconds:
                break
            told(str(trial))
            tally.add(trial, *_tried(chamber, undisturbed, trial))
            left.discard(trial)
        return Tortured(
            loaded.pipeline.name,
            undisturbed.guarantee,
            seed,
            round(request.clock.monotonic() - begun, 1),
            points,
            tally.tried(),
            tuple(tally.breaches),
            len({trial.point for trial in left}),
            undisturbed.comparison.unsteady,
        )


def _chosen(passed: Mapping[str, int], text: str) -> Mapping[str, int]:
    found = {point: times for point, times in passed.items() if text in point}
    if not found:
        raise ConfigError(
            "FLT-114",
            f'no crash point has "{text}" in its name',
            detail=f"a run passes {', '.join(passed)}.",
        )
    return found


def _check(loaded: Loaded) -> None:
    problems = tuple(refusals(loaded)) if loaded.pipeline.sinks else (nothing_written(loaded.pipeline),)
    if problems:
        raise ConfigError.of(problems)


class _Tally(Mutable):
    guarantee: str
    breaches: list[Breach] = field(default_factory=list)
    counts: dict[Kind, Counter[str]] = field(default_factory=dict)

    def add(self, trial: Trial, struck: bool, sinks: tuple[SinkDifference, ...], words: tuple[str, ...]) -> None:  # noqa: FBT001 -- as it comes
        count = self.counts.setdefault(trial.kind, Counter())
        count["trials"] += 1
        count["struck"] += struck
        if sinks or words:
            breach = Breach(trial, sinks, words, self._breaks(sinks, words))
            self.breaches.append(breach)
            count["lost"] += breach.lost
            count["doubled"] += breach.doubled
            count["broken"] += breach.broken

    def _breaks(self, sinks: tuple[SinkDifference, ...], words: tuple[str, ...]) -> bool:
        if words or any(one.columns for one in sinks):
            return True
        lost, doubled = any(one.lost for one in sinks), any(one.doubled for one in sinks)
        match self.guarantee:
            case "at_least_once":
                return lost
            case "at_most_once":
                return doubled
            case _:
                return lost or doubled

    def tried(self) -> tuple[Tried, ...]:
        names = ("trials", "struck", "lost", "doubled", "broken")
        return tuple(Tried(kind, *(self.counts[kind][name] for name in names)) for kind in Kind if kind in self.counts)


# ---------------------------------------------------------------- rooms


class _Chamber(Mutable):
    """Where trials take place. ``limit`` is how many seconds a run may take."""

    request: Request
    loaded: Loaded
    folder: Path
    comparison: Comparison
    children: Children
    limit: float = _LEAST_LIMIT_S
    rooms: int = 0

    @contextmanager
    def room(self) -> Iterator[_Stage]:
        """A new one, gone after the block."""
        self.rooms += 1
        name = f"{PREFIX}{self.folder.parent.name.rpartition('-')[2].lower()}_{self.rooms}"
        room = Room(self.folder / str(self.rooms), name)
        room.folder.mkdir()
        stage = _Stage(self, room, moved(self.loaded, room))
        try:
            with self._noted(room), there(stage.loaded, self.request.clock):
                try:
                    yield stage
                finally:
                    stage.clear()
        finally:
            shutil.rmtree(room.folder, ignore_errors=True)

    def note_of(self, room: Room) -> Path | None:
        """None where it has nothing on servers."""
        return self._notes / room.name if needs_places(self.loaded) else None

    def _noted(self, room: Room) -> AbstractContextManager[None]:
        note = self.note_of(room)
        return nullcontext() if note is None else noted(note, self.loaded.project.state)

    @property
    def _notes(self) -> Path:
        return notes_of(self.loaded.project.state, key_of(self.loaded))

    def clear_up(self, told: Callable[[str], None]) -> None:
        """Removes what rooms of tortures that were killed have on servers, as far as the document still names their systems; what
        cannot be removed now is left to the next torture.
        """
        for note in all_notes(self._notes):
            room = Room(self.folder / "left" / note.name, note.name)
            try:
                with forsaken(note, self.loaded.project.state) as is_forsaken:
                    if is_forsaken:
                        told(f"what an earlier torture left is removed: {note.name}")
                        remove_places(moved(self.loaded, room), self.request.clock)
            except PenstockError as error:
                told(f"what an earlier torture left stays: {note.name} ({error.code})")


@contextmanager
def _chamber(request: Request, loaded: Loaded, folder: Path) -> Iterator[_Chamber]:
    allowed = replace(loaded, paths=replace(loaded.paths, allowed=(*loaded.paths.allowed, folder)))
    with opened(request, allowed) as found:
        yield _Chamber(request, loaded, folder, Comparison(found.engine, found.scratch), Children(None))


class _Stage(Mutable):
    """One room, and the runs in it."""

    chamber: _Chamber
    room: Room
    loaded: Loaded
    runs: list[tuple[Order, Child]] = field(default_factory=list)

    def start(self, acts: Mapping[tuple[str, int], Act] | None = None, *, ahead: float = 0.0) -> _Run:
        request = self.chamber.request
        order = Order(
            request.file,
            request.settings,
            self.room,
            f"run-{len(self.runs) + 1}",
            acts or {},
            ahead,
            self.chamber.note_of(self.room),
        )
        run = _Run(order, self.chamber.children.start(obey, order))
        self.runs.append((order, run.child))
        return run

    def finish(self, run: _Run) -> str | None:
        """What is wrong with how the run ended, in words."""
        if run.child.join(self.chamber.limit) is None:
            run.child.kill()
            return f"a run did not end within {self.chamber.limit:.0f} s"
        told = run.order.told()
        if told is None:
            return f"a run ended with exit code {run.child.join(0)} and told nothing"
        return None if told.is_done else "a run failed: " + "; ".join(told.problems)

    def sealed(self) -> int:
        return sealed(self.chamber.request, self.loaded)

    def look(self) -> Any:
        return looked_into(self.chamber.request, self.loaded, self.chamber.comparison.scratch)

    def clear(self) -> None:
        for _, child in self.runs:
            child.kill()


class _Run(Frozen):
    order: Order
    child: Child

    def is_done(self) -> bool:
        told = self.order.told()
        return told is not None and told.is_done


# ---------------------------------------------------------------- undisturbed runs


class _Undisturbed(Frozen):
    """``once`` and ``twice``: what is there after one run, and after two."""

    once: Contents
    twice: Contents
    guarantee: str
    passed: Mapping[str, int]
    duration: float
    comparison: Comparison


@contextmanager
def _undisturbed(chamber: _Chamber, told: Callable[[str], None]) -> Iterator[_Undisturbed]:
    with ExitStack() as stack:
        told("a run that nobody disturbs")
        first, told_first, _ = _alone(chamber, stack)
        chamber.children = Children(_worth_importing(told_first.modules))
        told("a second run over what the first one left")
        twice, _, _ = _alone(chamber, stack, runs=2)
        told("the same at another time")
        again, _, duration = _alone(chamber, stack, ahead=_LEASE_S)
        once = stack.enter_context(first.look())
        other = stack.enter_context(again.look())
        comparison = replace(chamber.comparison, unsteady=chamber.comparison.unsteady_columns(once, other))
        differing = comparison.sinks(once, other)
        if differing:
            raise ConfigError(
                "FLT-113",
                "two runs that nobody disturbs do not give the same rows",
                detail="; ".join(f"{one.sink}: {_rows(one)}" for one in differing) + ".",
                hint="torture a pipeline over sources that stand still: a copy, or one that is held by parameters",
            )
        chamber.limit = max(_LEAST_LIMIT_S, _LIMIT * duration)
        yield _Undisturbed(
            once,
            stack.enter_context(twice.look()),
            told_first.guarantee or "exactly_once",
            told_first.passed,
            duration,
            comparison,
        )


def _alone(chamber: _Chamber, stack: ExitStack, *, runs: int = 1, ahead: float = 0.0) -> tuple[_Stage, Told, float]:
    """The room of runs that nobody disturbed, what the last one told, and how many seconds it took."""
    stage = stack.enter_context(chamber.room())
    for number in range(runs):
        begun = chamber.request.clock.monotonic()
        run = stage.start(ahead=ahead)
        wrong = stage.finish(run)
        told = run.order.told()
        if wrong is not None or told is None:
            raise _not_runnable(wrong or "", told)
        if number == runs - 1:
            return stage, told, chamber.request.clock.monotonic() - begun
    raise InternalError("INT-900", "nothing was run")


def _not_runnable(wrong: str, told: Told | None) -> FatalError:
    return FatalError(
        "FLT-112",
        "a run over scratch copies fails though nobody disturbs it",
        detail=" ".join(told.problems if told is not None and told.problems else (wrong,)),
    )


def _rows(one: SinkDifference) -> str:
    return one.columns or f"{one.lost} rows of the first are missing, {one.doubled} others are there"


def _worth_importing(modules: tuple[str, ...]) -> list[str]:
    """Not the interpreter's own, and no private ones: what imports them is there as well."""
    known = sys.stdlib_module_names
    return sorted(
        name
        for name in modules
        if not name.startswith("_") and "._" not in name and name.partition(".")[0] not in known
    )


# ---------------------------------------------------------------- one trial


def _tried(
    chamber: _Chamber, undisturbed: _Undisturbed, trial: Trial
) -> tuple[bool, tuple[SinkDifference, ...], tuple[str, ...]]:
    """Whether the blow struck, and what is wrong afterwards."""
    with chamber.room() as stage:
        match trial.kind:
            case Kind.KILLED_AT:
                blow = _struck_at(stage, undisturbed, trial, "kill")
            case Kind.LOST_AT:
                blow = _struck_at(stage, undisturbed, trial, "lost")
            case Kind.KILLED:
                blow = _killed(stage, undisturbed, trial)
            case Kind.OVERTAKEN_AT | Kind.OVERTAKEN:
                blow = _overtaken(stage, undisturbed, trial)
        return blow.struck, *_wrong(stage, undisturbed, blow)


class _Blow(Frozen):
    """``loads``: how many loads have to be there afterwards; None: what the ledger says. ``wrong``: how a run ended that should
    have come to its end.
    """

    struck: bool
    loads: int | None
    wrong: str | None = None


def _struck_at(stage: _Stage, undisturbed: _Undisturbed, trial: Trial, act: Act) -> _Blow:
    run = stage.start({(trial.point, trial.time): act})
    wrong = stage.finish(run)
    told = run.order.told()
    if told is None and act != "kill":  # it hangs, or it died of something else than the blow
        return _Blow(struck=True, loads=None, wrong=wrong)
    if told is None:
        return _then_run(stage, undisturbed, struck=run.child.join(0) == KILLED)
    struck = told.passed.get(trial.point, 0) >= trial.time
    if told.is_done:
        return _Blow(struck, 1)
    return _then_run(stage, undisturbed, struck=struck)


def _killed(stage: _Stage, undisturbed: _Undisturbed, trial: Trial) -> _Blow:
    """One run after another, as long as there is something left of the first load."""
    struck = False
    for moment in trial.moments:
        run = stage.start()
        run.child.join(moment * undisturbed.duration)
        struck |= run.child.kill() == KILLED
        if stage.sealed() >= undisturbed.once.epochs:
            break
    return _then_run(stage, undisturbed, struck=struck)


def _then_run(stage: _Stage, undisturbed: _Undisturbed, *, struck: bool, ahead: float = 0.0) -> _Blow:
    """A load that was sealed before is whole, and the next run is another one."""
    loads = 1 if stage.sealed() < undisturbed.once.epochs else 2
    return _Blow(struck, loads, stage.finish(stage.start(ahead=ahead)))


def _overtaken(stage: _Stage, undisturbed: _Undisturbed, trial: Trial) -> _Blow:
    """The first run stands still, a second one comes to its end, the first goes on. Where it holds a file, the second one
    has to wait until it goes on; where it stands still before it began, it may make a load of its own when it goes on.
    """
    acts: dict[tuple[str, int], Act] = {(trial.point, trial.time): "pause"} if trial.point else {}
    first = stage.start(acts)
    if trial.point:
        struck = first.child.frozen_within(stage.chamber.limit)
    else:
        first.child.join(trial.moments[0] * undisturbed.duration)
        first.child.freeze()
        struck = first.child.frozen_within(1)
    before = stage.sealed() if struck else 0
    second = stage.start(ahead=_LEASE_S)
    alone = second.child.join(_OVERTAKES_S) is not None and second.is_done()
    first.child.wake()
    wrong = [stage.finish(run) for run in (first, second)]
    if struck and alone and trial.point:
        return _Blow(struck, 1 if before < undisturbed.once.epochs else 2)
    if None in wrong:
        return _Blow(struck, None)
    return replace(_then_run(stage, undisturbed, struck=struck, ahead=2 * _LEASE_S), loads=None)


def _wrong(stage: _Stage, undisturbed: _Undisturbed, blow: _Blow) -> tuple[tuple[SinkDifference, ...], tuple[str, ...]]:
    if blow.wrong is not None:
        return (), (blow.wrong,)
    with stage.look() as found:
        loads = blow.loads or (1 if found.epochs == undisturbed.once.epochs else 2)
        expected = undisturbed.once if loads == 1 else undisturbed.twice
        words = []
        if found.epochs != expected.epochs:
            words.append(f"{found.epochs} epochs are sealed, not {expected.epochs}")
        words += _of_account(expected, found)
        return tuple(undisturbed.comparison.sinks(expected, found)), tuple(words)


def _of_account(expected: Contents, found: Contents) -> Iterator[str]:
    for cause in sorted({*expected.rejects, *found.rejects}, key=str):
        one, other = expected.rejects.get(cause, 0), found.rejects.get(cause, 0)
        if one != other:
            node, code, column = cause
            yield f"{other} rows are rejected at {node} for {code}{f' of {column}' if column else ''}, not {one}"
    for node in {**expected.account, **found.account}:
        if expected.account.get(node) != found.account.get(node):
            yield f'the account of "{node}" is another one'


def seconds_of(text: str) -> float:
    """Raises ValueError with what is expected."""
    return parse_duration(text).total_seconds()


def new_seed() -> int:
    return random.SystemRandom().getrandbits(31)
