"""What a commit says of itself in a table: the marker's key and text, and what a snapshot's summary tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.api import EpochMarker, Receipt
from penstock.structs import Frozen, asdict, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.connectors.api import Epoch, SinkId

_PREFIX: Final = "penstock/"
ATTEMPT: Final = "penstock.attempt"  # in a snapshot's summary


class Mark(Frozen):
    """A table's property ``penstock/<sink id>``: the last epoch that is committed under it, and by which snapshot."""

    epoch: int
    fence: int
    attempt: str
    snapshot: int
    receipt: Receipt

    def to_text(self) -> str:
        return json.dumps({**asdict(self), "v": 1})

    @property
    def marker(self) -> EpochMarker:
        return EpochMarker(self.epoch, self.fence, self.receipt)


def key_of(sink_id: SinkId) -> str:
    """Of the property."""
    return f"{_PREFIX}{sink_id}"


def keys_of(sink_id: SinkId) -> str:
    """How the keys of all incarnations of the sink begin."""
    return key_of(replace(sink_id, incarnation=""))


def mark_of(properties: Mapping[str, str], sink_id: SinkId) -> Mark | None:
    """None where the table has none."""
    text = properties.get(key_of(sink_id))
    if text is None:
        return None
    told: dict[str, Any] = json.loads(text)
    return Mark(told["epoch"], told["fence"], told["attempt"], told["snapshot"], Receipt(**told["receipt"]))


def epoch_in(properties: Mapping[str, str], key: str) -> int:
    """Which epoch was committed last under the marker of that name; 0 where none was."""
    return int(json.loads(properties.get(key, '{"epoch": 0}'))["epoch"])


def incarnations_in(properties: Mapping[str, str], sink_id: SinkId) -> frozenset[str]:
    """Of the sink's markers."""
    ours = keys_of(sink_id)
    return frozenset(key.removeprefix(ours) for key in properties if key.startswith(ours))


def fence_in(properties: Mapping[str, str], keys: str) -> int:
    """The highest fence of a commit under a marker whose key begins so; 0 where there was none."""
    return max((int(json.loads(text)["fence"]) for key, text in properties.items() if key.startswith(keys)), default=0)


def summary_of(epoch: Epoch) -> dict[str, str]:
    """For people, and for who looks for the commit of an attempt."""
    return {
        "penstock.sink": str(epoch.sink_id),
        "penstock.epoch": str(epoch.number),
        "penstock.fence": str(epoch.fence),
        ATTEMPT: epoch.attempt,
    }
