"""``test``: the tests of a document, each run over rows in memory. No system and no ledger is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import DataError
from penstock.service.bench import bench
from penstock.service.covering import Coverage, Observer
from penstock.service.differing import Difference
from penstock.steps.collect import together
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.document.models import PipelineTest
    from penstock.errors import Location, Problem
    from penstock.service.bench import Bench
    from penstock.service.covering import Item
    from penstock.service.request import Request

__all__ = ["Coverage", "Difference", "Tested", "Trial", "check"]


class Trial(Frozen):
    """A test as it went. ``problems`` are those of its rows that ended it, such as a value that cannot be cast."""

    name: str
    at: Location
    differences: tuple[Difference, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.differences and not self.problems


class Tested(Frozen):
    """The tests of one document that were run, in its order; ``left_out`` is how many others it has."""

    pipeline: str
    trials: tuple[Trial, ...]
    left_out: int = 0
    coverage: Coverage | None = None

    @property
    def passed(self) -> bool:
        return all(trial.passed for trial in self.trials)

    def covers(self, least: float | None) -> bool:
        """Whether as many percent were seen; None: whatever was seen is enough."""
        return least is None or self.coverage is None or self.coverage.percent >= least


def check(
    request: Request, *, chosen: str = "", covers: bool = False, told: Callable[[str], None] = lambda _: None
) -> Tested:
    """Runs the tests whose names hold the ``chosen`` text; ``told`` hears of each before it is run. ``covers``: looks at what
    they see of the pipeline, too.

    Raises ConfigError with all that is wrong in the document, what its tests give and expect included.
    """
    with bench(request) as made:
        tests = [test for test in made.pipeline.tests if chosen in test.name]
        trials: list[Trial] = []
        items: dict[Item, None] = dict.fromkeys(made.observer().items) if covers else {}
        seen: set[Item] = set()
        with together() as part:
            for test in tests:
                told(test.name)
                with part():
                    trials.append(_trial(made, test, seen if covers else None))
        coverage = Coverage(tuple(items), frozenset(seen)) if covers else None
        return Tested(made.pipeline.name, tuple(trials), len(made.pipeline.tests) - len(tests), coverage)


def _trial(made: Bench, test: PipelineTest, seen: set[Item] | None) -> Trial:
    """Adds to ``seen`` what the test sees."""
    rehearsal = made.rehearsal(test)
    graph = rehearsal.graph()
    observer = Observer.of(graph, rehearsal.pipeline) if seen is not None else None
    try:
        outcome = rehearsal.outcome(graph, observer.asks if observer is not None else {})
    except DataError as error:
        return Trial(test.name, test.at, problems=error.problems)
    if observer is not None and seen is not None:
        seen.update(observer.seen(outcome))
    return Trial(test.name, test.at, outcome.differences)
