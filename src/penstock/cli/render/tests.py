"""What came of a document's tests: each that failed with what is missing, unexpected or another; what none of them saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from penstock.cli.render.as_json import plain
from penstock.cli.render.hanging import Hanging
from penstock.cli.render.rows import cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rich.console import RenderableType

    from penstock.errors import Location
    from penstock.service.mutating import Mutated
    from penstock.service.testing import Coverage, Difference, Tested, Trial

_KINDS = {"node": "nodes", "rule": "outcomes of rules", "filter": "sides of filters", "case": "branches of CASE"}
_MARKS = {"row": "", "reject": "reject ", "count": "", "order": "order "}


def tests_page(
    found: Mapping[Path, Tested], changed: Mapping[Path, Mutated], *, least: float | None
) -> Iterator[RenderableType]:
    for file, tested in found.items():
        if not tested.trials and not tested.left_out:
            yield Text(f"{file}: no tests", style="dim")
        for trial in tested.trials:
            yield from _trial(trial)
        if tested.coverage is not None:
            yield from _coverage(tested.coverage, least)
        if file in changed:
            yield from _mutated(changed[file])
    every = [trial for tested in found.values() for trial in tested.trials]
    failed = sum(1 for trial in every if not trial.passed)
    style = "bold red" if failed else "bold green"
    yield Text(f"{len(every) - failed} passed, {failed} failed" if failed else f"{len(every)} passed", style=style)


def _trial(trial: Trial) -> Iterator[RenderableType]:
    if trial.passed:
        yield Text.assemble(("passed  ", "green"), trial.name)
        return
    yield Text.assemble(("FAILED  ", "bold red"), (trial.name, "bold"), (f"  {_place(trial.at)}", "dim"))
    for problem in trial.problems:
        yield Hanging(Text(f"  {problem.code}: {problem.message}. {problem.detail or ''}".rstrip()))
    node = None
    for one in trial.differences:
        if one.node != node:
            yield Text(f"  {one.node}")
        node = one.node
        yield Hanging(_difference(one), indent=6)


def _difference(one: Difference) -> Text:
    """A line: what is missing, what is unexpected, or the values that differ beside the others of their row."""
    if one.what == "failure":
        return Text.assemble(("    ! ends a run   ", "red"), _row(one.found or {}))
    what = _MARKS[one.what]
    where = (f"  line {one.at.line}", "dim") if one.at is not None else ("", "")
    if one.found is None:
        return Text.assemble((f"    - {what}missing     ", "red"), _row(one.expected or {}), where)
    if one.expected is None:
        return Text.assemble((f"    + {what}unexpected  ", "yellow"), _row(one.found), where)
    parts: list[Text | tuple[str, str]] = [(f"    ~ {what}differs     ", "magenta")]
    for place, name in enumerate(one.columns):
        parts.append(Text.assemble(", " if place else "", (name, "bold"), ": expected "))
        parts += [cell(one.expected[name]), Text(", found "), cell(one.found[name])]
    rest = {name: value for name, value in one.expected.items() if name not in one.columns}
    if rest:
        parts += [Text("  of "), _row(rest)]
    return Text.assemble(*parts, where)


def _row(row: Mapping[str, Any]) -> Text:
    text = Text("{")
    for place, (name, value) in enumerate(row.items()):
        text.append(f"{', ' if place else ''}{name}: ").append_text(cell(value))
    return text.append("}")


def _coverage(coverage: Coverage, least: float | None) -> Iterator[RenderableType]:
    counted = ((words, *coverage.of(kind)) for kind, words in _KINDS.items())  # type: ignore[arg-type]  # its keys are the kinds
    seen = ", ".join(f"{many} of {every} {words}" for words, many, every in counted if every)
    short = least is not None and coverage.percent < least
    yield Text.assemble(
        (f"coverage {coverage.percent:.0f} %", "bold red" if short else "bold"),
        f"  {seen}" if seen else "",
        (f"  less than the {least:g} % that are asked for" if short else "", "red"),
    )
    for item in coverage.missing:
        what = "" if item.kind == "node" else f"{item.what}: "
        place = (f"  {_place(item.at)}", "dim") if item.at is not None else ("", "")
        yield Hanging(Text.assemble("  not seen  ", (item.node, "bold"), f"  {what}{item.outcome}", place))


def _mutated(found: Mutated) -> Iterator[RenderableType]:
    tried = found.killed + len(found.survivors)
    rest = f", {found.untried} more were not tried in time" if found.untried else ""
    if found.percent is None:
        yield Text(f"no change was tried{rest}", style="bold")
    else:
        yield Text.assemble((f"changes noticed {found.percent:.0f} %", "bold"), f"  {found.killed} of {tried}{rest}")
    for one in found.survivors:
        why = "" if one.reached else "  (no test needs the node)"
        place = (f"  {_place(one.at)}", "dim") if one.at is not None else ("", "")
        line = Text.assemble("  not noticed  ", (one.node, "bold"), f"  {one.before} -> {one.after}{why}", place)
        yield Hanging(line)


def _place(at: Location) -> str:
    return f"{at.file}:{at.line}:{at.column}"


# ---------------------------------------------------------------- JSON


def tested_json(tested: Tested, changed: Mutated | None) -> dict[str, Any]:
    coverage = {"coverage": tested.coverage.to_json()} if tested.coverage is not None else {}
    return {
        "pipeline": tested.pipeline,
        "tests": [_trial_json(trial) for trial in tested.trials],
        "left_out": tested.left_out,
        **coverage,
        **({"changes": _mutated_json(changed)} if changed is not None else {}),
    }


def _mutated_json(found: Mutated) -> dict[str, Any]:
    survivors = [
        {
            "node": one.node,
            "file": one.at.file if one.at is not None else None,
            "line": one.at.line if one.at is not None else None,
            "before": one.before,
            "after": one.after,
            "reached": one.reached,
        }
        for one in found.survivors
    ]
    figures = {"noticed": found.killed, "impossible": found.impossible, "untried": found.untried}
    percent = None if found.percent is None else round(found.percent, 1)
    return {"percent": percent, **figures, "not_noticed": survivors}


def _trial_json(trial: Trial) -> dict[str, Any]:
    return {
        "name": trial.name,
        "passed": trial.passed,
        "file": trial.at.file,
        "line": trial.at.line,
        "differences": [_difference_json(one) for one in trial.differences],
        "problems": [problem.to_json() for problem in trial.problems],
    }


def _difference_json(one: Difference) -> dict[str, Any]:
    return {
        "node": one.node,
        "what": one.what,
        "expected": plain(one.expected),
        "found": plain(one.found),
        "columns": list(one.columns),
        "line": one.at.line if one.at is not None else None,
    }
