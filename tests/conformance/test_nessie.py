"""The Iceberg source and sink over Nessie against their suites; tables are written and read back by pyiceberg, which
reaches catalog and store by itself.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import NoSuchTableError
from test_iceberg import TestIcebergSink as _IcebergSink
from test_iceberg import TestIcebergSource as _IcebergSource

from nessie_tables import NessieLake
from object_stores import content_of, store_of
from penstock.connectors.iceberg.schema import from_iceberg
from penstock.types.arrow import to_arrow

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


class TestIcebergSource(_OverNessie, _IcebergSource): ...


class TestIcebergSink(_OverNessie, _IcebergSink):
    def read_back(self, schema: pa.Schema) -> pa.Table | None:
        try:
            table = self.lake.table()
        except NoSuchTableError:
            return None
        wanted = to_arrow(from_iceberg(table.schema(), "it"))
        if not any(pa.types.is_struct(field.type) for field in wanted):
            return super().read_back(schema)
        keys = [task.file.file_path.partition(f"{self.store['bucket']}/")[2] for task in table.scan().plan_files()]
        contents = [BytesIO(content_of(store_of(self.store), key)) for key in keys]
        return pa.concat_tables([pq.read_table(content).cast(wanted) for content in contents])
