"""``test --mutate``: the tests run over copies of the pipeline, each with one change; a change that no test notices tells
what is not tested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from penstock.compile.mutants import mutants_of
from penstock.compile.reads import reads, upstream
from penstock.errors import ConfigError, DataError
from penstock.service.bench import bench
from penstock.structs import Frozen, Mutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.compile.mutants import Mutant
    from penstock.document.models import Pipeline, PipelineTest
    from penstock.errors import Location
    from penstock.service.bench import Bench
    from penstock.service.request import Request

Verdict: TypeAlias = Literal["killed", "survived", "unreached", "impossible"]
__all__ = ["Mutated", "Survivor", "mutate"]


class Survivor(Frozen):
    """A change that no test noticed. ``reached``: whether any test needs the node at all."""

    node: str
    at: Location | None
    before: str
    after: str
    reached: bool


class Mutated(Frozen):
    """How many changes were noticed, and which were not. ``impossible`` ones do not compile and say nothing; ``untried`` are
    those that there was no time for.
    """

    killed: int
    survivors: tuple[Survivor, ...]
    impossible: int
    untried: int

    @property
    def percent(self) -> float | None:
        """Of the changes that were tried and mean something, how many were noticed; None where there are none."""
        tried = self.killed + len(self.survivors)
        return 100 * self.killed / tried if tried else None


def mutate(
    request: Request, *, seconds: float, chosen: str = "", told: Callable[[str], None] = lambda _: None
) -> Mutated:
    """Every change over the tests that need its node, until one fails; none is begun after so many ``seconds``. ``told`` hears
    of each. The tests pass over the pipeline as it is (``testing.check``). Raises ConfigError as that does.
    """
    deadline = request.clock.monotonic() + seconds
    with bench(request) as made:
        tests = [test for test in made.pipeline.tests if chosen in test.name]
        judge = _Judge(made, tests)
        killed = impossible = tried = 0
        survivors: list[Survivor] = []
        every = judge.mutants(made.pipeline)
        for place, mutant in enumerate(every):
            if request.clock.monotonic() >= deadline:
                break
            tried += 1
            told(f"{mutant.node}: {mutant.before} -> {mutant.after}")
            match judge.verdict(place, mutant.node):
                case "killed":
                    killed += 1
                case "impossible":
                    impossible += 1
                case "survived" | "unreached" as verdict:
                    survivors.append(
                        Survivor(mutant.node, mutant.at, mutant.before, mutant.after, reached=verdict == "survived")
                    )
        return Mutated(killed, tuple(survivors), impossible, len(every) - tried)


class _Judge(Mutable):
    """Runs tests over changed pipelines."""

    made: Bench
    tests: Sequence[PipelineTest]
    _mutants: dict[int, tuple[Pipeline, tuple[Mutant, ...]]] = field(default_factory=dict)

    def mutants(self, pipeline: Pipeline) -> tuple[Mutant, ...]:
        """Of one reading of the document: parameters change values in it, so that each has the same changes."""
        key = id(pipeline)
        if key not in self._mutants:
            self._mutants[key] = pipeline, tuple(mutants_of(pipeline))
        return self._mutants[key][1]

    def verdict(self, place: int, node: str) -> Verdict:
        """Of the change at that place of the list, which is one of that node."""
        above = reads(self.made.pipeline)
        found: Verdict = "unreached"
        for test in self.tests:
            if node in upstream(above, [name.partition(".")[0] for name in test.expect]):
                found = self._of_test(test, place)
                if found != "survived":
                    break
        return found

    def _of_test(self, test: PipelineTest, place: int) -> Verdict:
        rehearsal = self.made.rehearsal(test)
        changed = replace(rehearsal, pipeline=self.mutants(rehearsal.pipeline)[place].pipeline)
        try:
            graph = changed.graph()
        except ConfigError:
            return "impossible"
        try:
            return "killed" if changed.outcome(graph).differences else "survived"
        except (ConfigError, DataError):  # a column that the test names is gone; a value cannot be computed
            return "killed"
