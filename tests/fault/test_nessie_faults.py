"""The Iceberg sink over Nessie dies at every boundary, and competes with others of its name: every epoch is there once.

The table is made beforehand: Nessie 0.99.0, the newest to be had here, asks of a new schema a number that pyiceberg 0.12 no
longer sends (projectnessie/nessie#11341), so that no table is made together with its first rows, nor a column added.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from crashes import Reaper, children, die, rows_of, run_epochs
from test_store_lakes import compete, expected, never

from nessie_tables import NessieLake
from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.iceberg.sink import CRASH_POINTS, SINK
from penstock.testing.sinks.deliveries import SINK_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.connectors.api import Sink
    from penstock.testing.java_servers import NessieServer
    from penstock.testing.servers import ObjectServer

pytestmark = [pytest.mark.server, pytest.mark.long]
EPOCHS = 2
CONTEST_S = 150
COMMITTED = CRASH_POINTS.index("iceberg.committed")


@dataclass(frozen=True)
class Make:
    """Travels to child processes. Every sink has a private folder of its own, as those of several machines have."""

    folder: Path
    store: dict[str, Any]
    uri: str

    def __call__(self, reached: Callable[[str], None]) -> Sink:
        told = {"type": "iceberg", "from": "rows", "table": "oil.prices", "connection": self.lake.connection}
        scratch = Path(mkdtemp(prefix="scratch-", dir=self.folder))
        context = Context("table", self.folder.joinpath, scratch, SystemClock(), reached=reached)
        return SINK.make(SINK.params.model_validate(told), context)

    @property
    def lake(self) -> NessieLake:
        return NessieLake(self.folder, self.store, self.uri)

    def visible(self) -> Counter[tuple[int, int]]:
        """(id, epoch) of every row, with how often, as pyiceberg reads them."""
        found = self.lake.table().scan(selected_fields=("id", "epoch")).to_arrow()
        return Counter(zip(found["id"].to_pylist(), found["epoch"].to_pylist(), strict=True))


def begin(folder: Path, store: dict[str, Any], uri: str) -> Make:
    made = Make(folder, store, uri)
    schema = rows_of(1).schema
    made.lake.create(pa.schema([pa.field(field.name, field.type) for field in schema]))
    return made


@pytest.fixture
def make(nessie_server: NessieServer, s3_server: ObjectServer, tmp_path: Path) -> Make:
    return begin(tmp_path, s3_server.connection(nessie_server.bucket, prefix="lake"), nessie_server.uri)


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_crash_at_any_boundary_loses_and_doubles_nothing(make: Make, point: str) -> None:
    assert die(make, EPOCHS, Reaper(point, "raise")), f"the run never passed {point}"
    assert make.visible() == expected(2 if CRASH_POINTS.index(point) >= COMMITTED else 1)
    run_epochs(make, EPOCHS, fence=2, reaper=Reaper("", "raise"))
    assert make.visible() == expected(EPOCHS)
    assert make.lake.left() == []


def test_three_competitors_commit_every_epoch_once(make: Make) -> None:
    """They are in each other's way alone, and are killed once some epochs are there: a request takes a service so long that
    who is killed every moment commits nothing.
    """
    competitors = [children().start(compete, make, str(number), fenced=True) for number in range(3)]
    until = time.monotonic() + CONTEST_S
    while len(make.lake.table().metadata.snapshots) < EPOCHS and time.monotonic() < until:
        time.sleep(0.5)
    for competitor in competitors:
        competitor.kill()
    marker = make(never).marker(SINK_ID)
    last = (marker.epoch if marker else 0) + 1
    assert last > EPOCHS, "nobody got anywhere"
    run_epochs(make, last, fence=2, reaper=Reaper("", "raise"))
    assert make.visible() == expected(last)
