"""The delivery guarantee of a pipeline: the weakest on its path, with the reason; less than was asked for is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigError
from penstock.registry import Capability

if TYPE_CHECKING:
    from penstock.document.models import Guarantee, Pipeline

_STRENGTH: Final[tuple[Guarantee, ...]] = ("at_most_once", "at_least_once", "exactly_once")


@dataclass(frozen=True, slots=True)
class Delivery:
    """``because`` is one sentence for people."""

    given: Guarantee
    because: str
    asked: Guarantee | None = None


def delivery_of(pipeline: Pipeline) -> Delivery:
    """Raises ConfigError CMP-227 where the document asks for more than its sinks can give."""
    weak = [use for use in pipeline.sinks.values() if Capability.ATOMIC_COMMIT not in use.descriptor.capabilities]
    asked = pipeline.run.guarantee
    if not weak:
        every = "every sink commits rows and epoch marker in one act, and every range can be read again"
        return Delivery("exactly_once", every, asked)
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
