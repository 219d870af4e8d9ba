"""The delivery guarantee of a pipeline: the weakest on its path, with the reason; less than was asked for is refused.

A sink must commit rows and marker in one act. A source must give an epoch's rows again to the sinks that lack them once
one has them (epochs.md): by reading the range again, or from what was kept of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from penstock.errors import ConfigError
from penstock.graph.chance import kept_until_sealed
from penstock.registry import Capability
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.document.models import Guarantee, Pipeline, SourceUse
    from penstock.graph import Graph

_STRENGTH: Final[tuple[Guarantee, ...]] = ("at_most_once", "at_least_once", "exactly_once")

# How the rows of a range are had a second time. "never": one sink has the epoch, or it is planned anew.
Repeat: TypeAlias = Literal["read again", "kept as they came", "copied", "never"]


class Delivery(Frozen):
    """``because`` is one sentence for people."""

    given: Guarantee
    because: str
    asked: Guarantee | None = None


def repeat_of(source: SourceUse, *, sinks: int) -> Repeat:
    """By what the source declares and the number of sinks that must get the same rows."""
    if Capability.REPLAYABLE in source.descriptor.capabilities:
        return "read again"
    if Capability.SPOOLS in source.descriptor.capabilities:
        return "kept as they came"
    return "copied" if sinks > 1 else "never"


def delivery_of(pipeline: Pipeline, graph: Graph) -> Delivery:
    """``graph`` is what runs. Raises ConfigError CMP-227 where the document asks for more than its sinks can give."""
    weak = [use for use in pipeline.sinks.values() if Capability.ATOMIC_COMMIT not in use.descriptor.capabilities]
    asked = pipeline.run.guarantee
    if not weak:
        acts = "every sink commits rows and epoch marker in one act"
        return Delivery("exactly_once", ", and ".join([acts, *_again(pipeline, graph)]), asked)
    first = weak[0]
    because = f'the sink "{first.name}" ({first.descriptor.name}) cannot commit rows and marker in one act'
    given: Guarantee = "at_least_once"
    if asked is not None and _STRENGTH.index(given) < _STRENGTH.index(asked):
        raise ConfigError(
            "CMP-227",
            f"the document asks for {asked}, and {given} is what it can have",
            at=first.at,
            detail=f"{because}.",
            hint=f"ask for `guarantee: {given}`, or write to another system",
        )
    return Delivery(given, because, asked)


def _again(pipeline: Pipeline, graph: Graph) -> list[str]:
    """What is done for a source's rows, and those of a shared node, to be had a second time, in words."""
    names = dict.fromkeys(read.source for read in graph.reads)
    ways = {name: repeat_of(pipeline.sources[name], sinks=len(graph.writes)) for name in names}
    kept = [f'"{name}"' for name, way in ways.items() if way in {"kept as they came", "copied"}]
    once = [f'"{name}"' for name, way in ways.items() if way == "never"]
    words = [f"what {_listed(kept)} gave is kept until the epoch is sealed"] if kept else []
    words += [f"{_listed(once)} need not be read twice for one sink"] if once else []
    if len(kept) + len(once) < len(ways):
        words.append("every other range can be read again" if words else "every range can be read again")
    chances = [f'"{node}"' for node in kept_until_sealed(graph)]
    return [*words, f"the rows of {_listed(chances)} are kept until every sink has them"] if chances else words


def _listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``; at least one."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
