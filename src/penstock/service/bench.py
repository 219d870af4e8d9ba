"""A document opened for its tests: read once for each set of parameters, compiled over what it declares."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from penstock.connectors.families import is_family
from penstock.document.assembly import load
from penstock.document.models import PipelineTest
from penstock.errors import ConfigError, Location, PenstockError, Problem, together
from penstock.registry import Capability
from penstock.secret import Secret
from penstock.service.covering import Observer
from penstock.service.opening import opened
from penstock.service.rehearsing import Rehearsal
from penstock.structs import Mutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from penstock.document.assembly import Loaded
    from penstock.document.models import Pipeline, SourceUse
    from penstock.service.opening import Opened
    from penstock.service.request import Request
    from penstock.types import Schema

_NO_SECRET: frozenset[str] = frozenset({"DOC-190", "DOC-191", "DOC-192", "DOC-194", "DOC-195", "DOC-196"})


class Bench(Mutable):
    """``pipeline`` is the document with the parameters that the command was given. Closed by the block that made it."""

    request: Request
    loaded: Loaded
    _stack: ExitStack
    _readings: dict[tuple[tuple[str, str], ...], tuple[Opened, Mapping[str, Schema]]] = field(default_factory=dict)

    @property
    def pipeline(self) -> Pipeline:
        return self.loaded.pipeline

    def rehearsal(self, test: PipelineTest) -> Rehearsal:
        """Of the test as it reads with its parameters. Raises ConfigError with what is wrong in the document then."""
        found, schemas = self._reading(test)
        same = next((one for one in found.pipeline.tests if one.name == test.name), test)
        return Rehearsal(found.engine, found.pipeline, schemas, same, self.request.clock.now())

    def observer(self) -> Observer:
        """Of the pipeline without a test."""
        rehearsal = self.rehearsal(PipelineTest("", Location(self.pipeline.file, 1, 1, 2), {}, {}))
        return Observer.of(rehearsal.graph(), rehearsal.pipeline)

    def _reading(self, test: PipelineTest) -> tuple[Opened, Mapping[str, Schema]]:
        key = tuple(sorted(test.params.items()))
        if key not in self._readings:
            loaded = self.loaded
            if key:
                try:
                    loaded = _loaded(self.request, test.params)
                except ConfigError as error:
                    raise error.placed(test.at) from None
            found = self._stack.enter_context(opened(self.request, loaded))
            self._readings[key] = found, schemas_of(found)
        return self._readings[key]


@contextmanager
def bench(request: Request) -> Iterator[Bench]:
    """Raises ConfigError with all that is wrong in the document."""
    with ExitStack() as stack:
        yield Bench(request, _loaded(request, {}), stack)


def _loaded(request: Request, params: Mapping[str, str]) -> Loaded:
    """A secret that is not there is no hindrance: nothing is connected to."""
    settings = replace(request.settings, params={**request.settings.params, **params})
    try:
        return load(request.file, settings)
    except ConfigError as error:
        if not any(problem.code in _NO_SECRET for problem in error.problems):
            raise
        return load(request.file, replace(settings, secrets=_Unknown()))


class _Unknown:
    """Stands for the secrets of a machine that has none."""

    def get(self, name: str) -> Secret | None:  # noqa: ARG002 -- all are alike
        return Secret("unknown")

    def names(self) -> Collection[str]:
        return ()


def schemas_of(found: Opened) -> Mapping[str, Schema]:
    """The columns of every source: those of its ``schema:``, else those of the local files that it reads.

    Raises ConfigError CMP-383 for a source of another kind, and what reading the files raises.
    """
    schemas: dict[str, Schema] = {}
    problems: list[Problem] = []
    for name, use in found.pipeline.sources.items():
        try:
            schemas[name] = _schema_of(found, use)
        except PenstockError as error:
            problems.extend(error.placed(use.at, use.places).problems)
    if problems:
        raise together(problems)
    return schemas


def _schema_of(found: Opened, use: SourceUse) -> Schema:
    if use.contract is not None:
        return use.contract
    if Capability.LOCAL in use.descriptor.capabilities and not is_family(use.descriptor, use.params):
        return found.inferred(use.name)
    raise ConfigError(
        "CMP-383", f'a test does not know the columns of "{use.name}"', at=use.at, hint="declare its `schema:`"
    )
