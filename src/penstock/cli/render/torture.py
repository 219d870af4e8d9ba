"""What was done to a pipeline, how often, and what it left: a row per kind of trial, then each that left something wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from penstock.service.torturing import Breach, Tortured

_SHOWN: Final = 20  # trials that left something wrong
_NAMES: Final = {
    "exactly_once": "exactly once",
    "at_least_once": "at least once: rows may be there twice, none may be missing",
    "at_most_once": "at most once: rows may be missing, none may be there twice",
}


def torture_page(found: Tortured) -> Iterator[RenderableType]:
    yield Text.assemble((found.pipeline, "bold"), f"  guarantees {_NAMES.get(found.guarantee, found.guarantee)}")
    yield _table(found)
    for breach in found.breaches[:_SHOWN]:
        yield from _breach(breach)
    if len(found.breaches) > _SHOWN:
        yield Text(f"and {len(found.breaches) - _SHOWN} more")
    for sink, columns in found.unsteady.items():
        yield Text(f"not compared: {', '.join(sorted(columns))} of {sink}, another in every run", style="dim")
    if found.untried:
        yield Text(
            f"{len(found.points) - found.untried} of {len(found.points)} crash points were walked in every way; --for gives "
            "more time",
            style="yellow",
        )
    yield Text(f"{found.trials} trials in {found.seconds:.0f} s, seed {found.seed}", style="dim")
    yield (
        Text("the guarantee held" + (", as far as was tried" if found.untried else ""), style="bold green")
        if found.holds
        else Text("THE GUARANTEE WAS BROKEN", style="bold red")
    )


def _table(found: Tortured) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what was done", no_wrap=True)
    for name in ("times", "struck", "rows lost", "rows doubled", "broken"):
        table.add_column(name, justify="right")
    for one in found.tried:
        figures = (one.trials, one.struck, one.lost, one.doubled, one.broken)
        table.add_row(one.kind.value, *(f"{figure:,}" for figure in figures), style="red" if one.broken else "")
    return table


def _breach(breach: Breach) -> Iterator[Text]:
    head = ("BROKEN  ", "bold red") if breach.broken else ("doubled ", "yellow")
    yield Text.assemble(head, str(breach.trial))
    for one in breach.sinks:
        yield Text(f"  {one.sink}: " + (one.columns or f"{one.lost:,} rows lost, {one.doubled:,} doubled"))
    for words in breach.words:
        yield Text(f"  {words}")


# ---------------------------------------------------------------- JSON


def tortured_json(found: Tortured) -> dict[str, Any]:
    return {
        "pipeline": found.pipeline,
        "guarantee": found.guarantee,
        "holds": found.holds,
        "seed": found.seed,
        "seconds": found.seconds,
        "points": dict(found.points),
        "points_not_walked": found.untried,
        "tried": [
            {
                "what": one.kind.value,
                "trials": one.trials,
                "struck": one.struck,
                "rows_lost": one.lost,
                "rows_doubled": one.doubled,
                "broken": one.broken,
            }
            for one in found.tried
        ],
        "breaches": [_breach_json(breach) for breach in found.breaches],
        "columns_not_compared": {sink: sorted(columns) for sink, columns in found.unsteady.items()},
    }


def _breach_json(breach: Breach) -> dict[str, Any]:
    trial = breach.trial
    return {
        "what": trial.kind.value,
        "point": trial.point or None,
        "time": trial.time if trial.point else None,
        "moments": list(trial.moments),
        "broken": breach.broken,
        "sinks": [
            {"sink": one.sink, "rows_lost": one.lost, "rows_doubled": one.doubled, "columns": one.columns}
            for one in breach.sinks
        ],
        "words": list(breach.words),
    }
