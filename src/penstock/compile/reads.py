"""Who reads whom in a document, by name alone: known before any column is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.rules.referential import ReferentialParams
from penstock.rules.sum_equals import SumEqualsParams
from penstock.steps.join import JoinParams
from penstock.structs import replace
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.document.models import Pipeline, RuleUse, StepUse, Transform


def reads(pipeline: Pipeline) -> Mapping[str, frozenset[str]]:
    """The names that each source, transform and sink reads itself. What no node has as its name is left out, as are the
    tables of SQL that cannot be parsed: compiling tells of both.
    """
    folded = {fold_case(name): name for name in pipeline.names}

    def known(names: Iterable[str]) -> frozenset[str]:
        return frozenset(folded[key] for key in map(fold_case, names) if key in folded)

    found = {name: known(_of_rules(source.rules)) for name, source in pipeline.sources.items()}
    found |= {name: known(_of(transform)) for name, transform in pipeline.transforms.items()}
    for name, sink in pipeline.sinks.items():
        inputs = frozenset(str(item) for item in sink.inputs) & frozenset(pipeline.names)
        found[name] = inputs | known(_of_rules(sink.rules))
    return found


def upstream(found: Mapping[str, frozenset[str]], names: Iterable[str]) -> frozenset[str]:
    """Those names and everything that they read, directly or not."""
    seen: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(found.get(name, ()))
    return frozenset(seen)


def only(pipeline: Pipeline, names: Iterable[str]) -> Pipeline:
    """The pipeline of those nodes and of everything that they read, directly or not."""
    needed = upstream(reads(pipeline), names)
    return replace(
        pipeline,
        sources={name: use for name, use in pipeline.sources.items() if name in needed},
        transforms={name: use for name, use in pipeline.transforms.items() if name in needed},
        sinks={name: use for name, use in pipeline.sinks.items() if name in needed},
    )


def _of(transform: Transform) -> Iterable[str]:
    yield from map(str, transform.inputs)
    if transform.sql is not None:
        yield from _tables(str(transform.sql))
    for step in transform.steps:
        yield from _of_step(step)
    yield from _of_rules(transform.rules)


def _of_rules(rules: Iterable[RuleUse]) -> Iterable[str]:
    """The nodes whose keys or sums a rule compares with."""
    for rule in rules:
        if isinstance(rule.params, ReferentialParams | SumEqualsParams):
            yield str(rule.params.to)


def _of_step(step: StepUse) -> Iterable[str]:
    """The only step that names a node besides the one before it is a join."""
    return (str(step.params.to),) if isinstance(step.params, JoinParams) else ()


def _tables(text: str) -> tuple[str, ...]:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except (SqlglotError, RecursionError):
        return ()
    return tuple(table.name for table in tree.find_all(exp.Table))
