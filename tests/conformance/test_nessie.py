"""The Iceberg source over Nessie against its suite; tables are written by pyiceberg, which reaches catalog and store by
itself. The sink's suite makes tables with their first rows, which Nessie 0.99.0 does not take (test_nessie_faults.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from test_iceberg import TestIcebergSource as _IcebergSource

from nessie_tables import NessieLake
from penstock.errors import ConfigError
from penstock.testing.sources import ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.testing.java_servers import NessieServer
    from penstock.testing.servers import ObjectServer

pytestmark = [pytest.mark.server, pytest.mark.long]


class _OverNessie:
    @pytest.fixture(autouse=True)
    def _lake(self, nessie_server: NessieServer, s3_server: ObjectServer, tmp_path: Path) -> None:
        self.store: dict[str, Any] = s3_server.connection(nessie_server.bucket, prefix="lake")
        self.lake = NessieLake(tmp_path, self.store, nessie_server.uri)
        self.lake.clear()


class TestIcebergSource(_OverNessie, _IcebergSource):
    def test_a_range_does_not_grow_with_rows_that_came_later(self) -> None:
        """Nessie tells of a table's newest snapshot alone: an older one is refused, and the newest not read in its place."""
        self.load(ROWS)
        ranges = self.ranges(self.source())
        self.add(self.MORE)
        with pytest.raises(ConfigError) as caught:
            self.scan(self.source(), ranges)
        assert caught.value.code == "SRC-260"
