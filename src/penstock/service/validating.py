"""``validate``: everything that is wrong with a document, before a row moves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.document.assembly import project_of, shown
from penstock.errors import ConfigError, DataError, FatalError, TransientError
from penstock.service.families import parts
from penstock.service.opening import opened
from penstock.service.portable import unportable
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.document.environments import MergedValue
    from penstock.errors import Problem
    from penstock.service.families import Part
    from penstock.service.request import Request, Settings

_TOGETHER: Final = "DOC-216"
_TOLD: Final = (ConfigError, DataError, TransientError, FatalError)


def pipeline_files(settings: Settings) -> Sequence[Path]:
    """The project's, as a person would name them here. Raises ConfigError CLI-103 where there is none."""
    found = [Path(shown(path)) for path in project_of(None, settings).pipelines()]
    if not found:
        raise ConfigError(
            "CLI-103", "there is no pipeline here", hint="name a file, or `penstock init` makes a project"
        )
    return found


class InForce(Frozen):
    """A value of a document, masked where it is secret. ``origin``: ``file:line:column``, with the environment that laid
    it over the base; else the option that said it.
    """

    path: str
    value: str
    origin: str

    @classmethod
    def of(cls, merged: MergedValue) -> InForce:
        at = merged.at
        place = f"{at.file}:{at.line}:{at.column}" if at is not None else "--param"
        origin = f"{place}, environment {merged.environment}" if merged.environment else place
        return cls(merged.path, merged.value, origin)

    def to_json(self) -> dict[str, str]:
        return {"path": self.path, "value": self.value, "origin": self.origin}


class Validation(Frozen):
    """``problems`` are errors and warnings, in document order; ``values`` everything in force; ``exit_code`` by the class
    of what went wrong.
    """

    ok: bool
    problems: tuple[Problem, ...]
    values: tuple[InForce, ...] = ()
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "problems": [problem.to_json() for problem in self.problems]}


def validate(request: Request, *, connect: bool = False, engine: str = "duckdb") -> Validation:
    """What is wrong is the answer, a system that is not reachable too; only our own bugs are raised. ``connect`` also
    asks the systems for their columns. ``engine`` "spark": what that engine does not run is wrong as well.
    """
    try:
        with parts(request, offline=not connect) as found:
            each = [_validated(request, part, connect=connect, engine=engine) for part in found.each]
    except _TOLD as error:
        return Validation(ok=False, problems=error.problems, exit_code=error.exit_code)
    return Validation(
        ok=all(one.ok for one in each),
        problems=tuple(dict.fromkeys(problem for one in each for problem in one.problems)),
        values=tuple(map(InForce.of, found.loaded.values)),
        exit_code=worst(each),
    )


def told_once(results: Sequence[Validation]) -> tuple[tuple[Problem, ...], ...]:
    """The problems to tell of each: what several files have together (a pipeline of one name) is told with the first."""
    told: set[tuple[str, str | None]] = set()
    found: list[tuple[Problem, ...]] = []
    for result in results:
        shared = {(one.message, one.detail) for one in result.problems if one.code == _TOGETHER}
        found.append(
            tuple(one for one in result.problems if one.code != _TOGETHER or (one.message, one.detail) not in told)
        )
        told |= shared
    return tuple(found)


def worst(found: Iterable[Validation]) -> int:
    """The exit code of them together: what the author must mend comes before what only has to be tried again."""
    codes = {one.exit_code for one in found}
    return ConfigError.exit_code if ConfigError.exit_code in codes else max(codes, default=0)


def _validated(request: Request, part: Part, *, connect: bool, engine: str) -> Validation:
    try:
        with opened(request, part.loaded) as found:
            found.connect(offline=not connect)
            compiled = found.compile(may_read=connect)
            if connect:
                found.changes(compiled)
            refused = unportable(compiled.graph, found.engine) if engine == "spark" else ()
            if refused:
                problems = _of_member(part, (*compiled.warnings, *refused))
                return Validation(ok=False, problems=problems, exit_code=ConfigError.exit_code)
            return Validation(ok=True, problems=_of_member(part, compiled.warnings))
    except _TOLD as error:
        return Validation(ok=False, problems=_of_member(part, error.problems), exit_code=error.exit_code)


def _of_member(part: Part, problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """A place in the document does not say which table is meant."""
    if part.member is None:
        return tuple(problems)
    return tuple(
        replace(item, detail=" ".join(filter(None, (item.detail, f'Of the table "{part.member}".'))))
        for item in problems
    )
