"""The sink's table as a source."""

from __future__ import annotations

import json

from penstock.connectors.api import ScanRequest
from penstock.errors import DataError
from penstock.registry import Capability
from penstock.testing.compare import assert_same
from penstock.testing.delivery import pull
from penstock.testing.sinks.conformance import SinkConformance
from penstock.testing.sinks.deliveries import deliver, epoch, read_table, rows, stage
from penstock.types.arrow import from_arrow


class ReadBack(SinkConformance):
    """The sink's table as a source."""

    def test_the_table_reads_what_was_committed(self) -> None:
        self.needs(Capability.READ_BACK)
        sink = self.sink(self.usual())
        table = rows((1, "one"), (2, None), (3, ""))
        deliver(sink, epoch(1), table)
        assert_same(read_table(sink), self.as_stored(table))

    def test_the_table_shows_only_committed_rows(self) -> None:
        self.needs(Capability.READ_BACK)
        sink = self.sink(self.usual())
        table = rows((1, "one"))
        deliver(sink, epoch(1), table)
        sink.prepare(from_arrow(table.schema))
        stage(sink, epoch(2), rows((2, "two")))
        assert_same(read_table(sink), self.as_stored(table))

    def test_a_version_of_the_table_stays_readable_or_says_that_it_is_gone(self) -> None:
        self.needs(Capability.READ_BACK)
        sink = self.sink(self.usual())
        first = rows((1, "one"))
        deliver(sink, epoch(1), first)
        source = sink.table()
        (partition,) = source.partitions()
        version = source.latest(partition)
        assert json.loads(json.dumps(version)) == version
        deliver(sink, epoch(2), rows((2, "two")))
        try:
            found, _ = pull(sink.table().scan(ScanRequest(partition, None, version)))
        except DataError as gone:
            assert gone.code == "SRC-110"  # noqa: PT017 -- either outcome is right, a changed answer is not
        else:
            assert_same(found, self.as_stored(first))
