"""A SQLite sink that does in two acts what has to be one, under two names: one says what it is, the other does not.

Importable by the processes that a torture starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from penstock import registry
from penstock.connectors.sqlite.descriptors import SINK
from penstock.connectors.sqlite.sink import SqliteSink
from penstock.document.read import Catalogue
from penstock.registry import Capability
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Context, Epoch, Receipt, SinkId, Staged
    from penstock.connectors.sqlite.params import SqliteSinkParams
    from penstock.registry import Descriptor, Group


class TwoActs(SqliteSink):
    """Its rows, and only then its marker."""

    def __init__(self, params: SqliteSinkParams, context: Context) -> None:
        super().__init__(params, context)
        self._reached = context.reached

    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        marker = self.marker(epoch.sink_id)
        if marker is not None and marker.epoch == epoch.number and marker.receipt is not None:
            return marker.receipt
        elsewhere = replace(epoch.sink_id, incarnation=str(uuid4()))
        receipt = super().commit(replace(epoch, sink_id=elsewhere, number=1), staged)
        self._reached("two_acts.between")
        super().commit(epoch, [])
        return receipt

    def incarnations(self, sink_id: SinkId) -> frozenset[str]:
        marker = self.marker(sink_id)
        return frozenset() if marker is None else frozenset({sink_id.incarnation})


LIAR = replace(SINK, name="liar", make=TwoActs)
HONEST = replace(SINK, name="honest", make=TwoActs, capabilities=SINK.capabilities - {Capability.ATOMIC_COMMIT})


def find(group: Group, name: str) -> Descriptor | None:
    own = {"liar": LIAR, "honest": HONEST}
    return own[name] if group == "sinks" and name in own else registry.find(group, name)


CATALOGUE = Catalogue(find, registry.names)
