"""A plan for people: what will be read, computed, committed, and under which guarantee; at most a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from penstock.service.inspecting import Acknowledge, Commit, Keep, Pass, Read, Seal, Spool, grouped, statements_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from penstock.service.inspecting import CaredFor, Explained, Position, Setting, Stage

_UNITS: Final = (("years", 31_557_600), ("days", 86_400), ("h", 3600))


def plan_page(explained: Explained, *, sql: bool = False) -> Iterator[RenderableType]:
    plan = explained.plan
    delivery = plan.delivery
    yield Text.assemble((plan.pipeline, "bold"), (f"  plan {plan.hash[:12]}", "dim"))
    yield Text.assemble((delivery.given.replace("_", " "), "green"), f": {delivery.because}")
    if plan.series is not None:
        yield Text(_series(explained))
    for item in explained.news:
        yield Text(f"new: {item}", style="yellow")
    if explained.left is not None:
        yield Text(f"epoch {explained.left.number}, which a run left in the midst, is finished first", style="yellow")
    if explained.has_nothing_new and explained.last is not None and explained.last.sealed_at is not None:
        at = f"{explained.last.sealed_at:%Y-%m-%d %H:%M} UTC"
        yield f"nothing new since epoch {explained.last.number}, sealed {at}: a run would read and commit nothing"
    else:
        yield _stages(explained)
    rejects = explained.compiled.pipeline.rejects
    if rejects is not None:
        yield Text(f"rejected rows also go to {rejects.name} ({rejects.descriptor.name}), in a commit of each epoch")
    for connection in explained.connections:
        yield _care(connection)
    if sql:
        yield from _statements(explained)


def _series(explained: Explained) -> str:
    """``in epochs of about 100,000 rows of eia; serving at their end``."""
    plan, series = explained.plan, explained.plan.series
    assert series is not None
    limits = [f"{series.size.rows:,} rows"] if series.size.rows is not None else []
    limits += [f"{series.size.bytes:,} bytes"] if series.size.bytes is not None else []
    later = [name for name in plan.commits if name not in series.each]
    ends = f"; {', '.join(later)} at their end" if later else ""
    return f"in epochs of about {' or '.join(limits)} of {', '.join(series.sources)}{ends}"


def _care(connection: CaredFor) -> Text:
    """``eia: retries attempts 5*, total 300 s*; breaker failures 3, rest 30 s*``: a star is what the document does not say."""
    groups = (
        " ".join(filter(None, (group, ", ".join(map(_setting, settings)))))
        for group, settings in grouped(connection.settings).items()
    )
    names = ", ".join(connection.used_by)
    return Text.assemble((names, "bold"), (f": {'; '.join(groups)}  (* by default)", "dim"))


def _setting(setting: Setting) -> str:
    match setting.value:
        case None:
            value = "none"
        case int() | float() as seconds if setting.is_duration:
            value = duration(seconds)
        case _:
            value = str(setting.value)
    return f"{setting.name} {value}{'*' if setting.is_default else ''}"


def duration(seconds: float) -> str:
    """Of what is longer than two hours the largest unit that it has twice.

    >>> duration(0.25), duration(3600), duration(86_400 * 3), duration(8.63991e9)
    ('0.25 s', '3600 s', '3 days', '273.8 years')
    """
    unit, size = next((each for each in _UNITS if seconds >= 2 * each[1]), ("s", 1))
    return f"{seconds:g} s" if size == 1 else f"{round(seconds / size, 1):,g} {unit}"


def _stages(explained: Explained) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", justify="right")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for number, stage in enumerate(explained.plan.stages, start=1):
        title, facts = _stage(stage, explained)
        table.add_row(str(number), title, facts)
    return table


def _stage(stage: Stage, explained: Explained) -> tuple[str, str]:
    match stage:
        case Spool():
            return "spool", f"{stage.source}: {stage.because}"
        case Keep():
            return "keep", f"{stage.node}: {stage.because}"
        case Pass():
            return "pass", _pass(stage, explained)
        case Commit():
            place = f", at {stage.place}" if stage.place else ""
            return "commit", f"{stage.sink} ({stage.type}{place}): {stage.action}"
        case Seal():
            return "seal", "receipts, balance and positions into the ledger"
        case Acknowledge():
            return "acknowledge", ", ".join(stage.sources)
    assert_never(stage)


def _pass(stage: Pass, explained: Explained) -> str:
    graph = explained.plan.graph
    reads = [f"{graph[name].id}{_narrowed(name, explained)}" for name in stage.reads]
    tables = [f"{name.removesuffix('.table')} as committed" for name in stage.tables]
    lines = [f"{', '.join([*reads, *tables])}  ->  {', '.join(stage.sinks)}"]
    lines += [f"{item.node}: {item.how}, {item.because}" for item in stage.shared]
    return "\n".join(lines)


def _narrowed(name: str, explained: Explained) -> str:
    """How much of a source is asked for: columns and rows where that is not all, and up to where."""
    node, written = explained.plan.graph[name], explained.compiled.written.by_id.get(name)
    if not isinstance(node, Read):
        return ""
    facts = []
    if node.columns is not None and written is not None and written.schema is not None:
        asked, named = len(node.columns), len(written.schema.names)
        facts += [f"{asked} of {named} columns"] if asked < named else []
    if node.predicate is not None:
        facts.append(f"where {node.predicate.sql(dialect='duckdb')}")
    for item in explained.ranges:
        if item.source == node.source:
            facts += _beyond(item.after)
            facts += _position(item.upto or {}, item.after or {})
    return f" ({', '.join(facts)})" if facts else ""


def _beyond(position: Position | None) -> Iterator[str]:
    """``beyond updated_at 2024-01-31``: where an earlier epoch ended."""
    match position:
        case {"cursor": {"by": [str() as by, *_], "value": str() as value}}:
            yield f"beyond {by} {value}"


def _position(position: Position, after: Position) -> Iterator[str]:
    """``3 files``, ``1 of 3 files``, ``version 7``: what a range counts. Its texts are between the connector and its system,
    and ``v`` is the version of its own form.
    """
    for name, value in position.items():
        match value:
            case list() | tuple():
                before = after.get(name)
                known = [item for item in value if item in before] if isinstance(before, list | tuple) else []
                new = f"{len(value) - len(known):,} new of " if before is not None else ""
                yield f"{new}{len(value):,} {name.removesuffix('s') if len(value) == 1 else name}"
            case int() if name != "v":
                yield f"{name} {value}"


def _statements(explained: Explained) -> Iterator[RenderableType]:
    for node in explained.plan.graph.nodes:
        columns = ", ".join(str(item) for item in node.schema or ())
        yield Text.assemble("\n", (node.id, "bold"), (f"  {node.kind.value}", "dim"))
        yield Padding(Text(columns, style="dim"), (0, 0, 0, 2))
        for dialect, statement in statements_of(node).items():
            yield Padding(Text(dialect, style="dim"), (0, 0, 0, 2))
            yield Padding(Syntax(statement, "sql", background_color="default", word_wrap=True), (0, 0, 0, 4))
