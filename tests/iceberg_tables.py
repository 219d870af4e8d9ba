"""What the tests of Iceberg tables share: a project folder, sinks and sources in it, tables read by pyiceberg itself."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from pyiceberg.catalog.sql import SqlCatalog

from object_stores import keys_in, store_of
from penstock.connectors.api import Context, ScanRequest
from penstock.connectors.iceberg.params import IcebergSinkParams, IcebergSourceParams
from penstock.connectors.iceberg.sink import IcebergSink
from penstock.connectors.iceberg.source import IcebergSource, make_source
from penstock.structs import replace
from penstock.testing.clock import FakeClock
from penstock.testing.delivery import pull

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from pyiceberg.table import Table
    from sqlglot import exp

CONNECTION = {"path": "catalog.db", "warehouse": "lake"}
NAME = "oil.prices"


@dataclass(frozen=True)
class Lake:
    """One table in a catalog of a project folder, and what a test does with it."""

    folder: Path

    @property
    def connection(self) -> dict[str, Any]:
        return dict(CONNECTION)

    @property
    def root(self) -> Path:
        return self.folder / "lake" / "oil" / "prices"

    def context(self, reached: Callable[[str], None] | None = None) -> Context:
        scratch = self.folder / ".scratch"
        scratch.mkdir(exist_ok=True)
        clock = FakeClock(datetime(2024, 1, 1, tzinfo=UTC))
        made = Context("lake", lambda path: self.folder / path, scratch, clock)
        return replace(made, reached=reached) if reached else made

    def sink(
        self, reached: Callable[[str], None] | None = None, *, refreshes: bool = False, **options: Any
    ) -> IcebergSink:
        given = {"type": "iceberg", "from": "rows", "connection": self.connection, "table": NAME, **options}
        params = IcebergSinkParams.model_validate(given)
        return IcebergSink(params, replace(self.context(reached), refreshes=refreshes))

    def source(self, **options: Any) -> IcebergSource:
        given = {"type": "iceberg", "connection": self.connection, "table": NAME, **options}
        return make_source(IcebergSourceParams.model_validate(given), self.context())

    def read(
        self, source: IcebergSource, columns: tuple[str, ...] | None = None, predicate: exp.Expr | None = None
    ) -> pa.Table:
        (part,) = source.partitions()
        return pull(source.scan(ScanRequest(part, None, source.latest(part), columns, predicate)))[0]

    # ------------------------------------------------------------ by pyiceberg alone

    def catalog(self) -> SqlCatalog:
        self.folder.mkdir(exist_ok=True)
        return SqlCatalog("default", uri=f"sqlite:///{self.folder}/catalog.db", warehouse=f"file://{self.folder}/lake")

    def table(self) -> Table:
        """Loaded anew."""
        with closing(self.catalog()) as catalog:
            return catalog.load_table(NAME)

    def create(self, schema: pa.Schema, **options: Any) -> None:
        """By pyiceberg's own means, in place of what was there."""
        with closing(self.catalog()) as catalog:
            catalog.create_namespace_if_not_exists("oil")
            if catalog.table_exists(NAME):
                catalog.drop_table(NAME)
            catalog.create_table(NAME, schema, **options)

    def add(self, table: pa.Table) -> None:
        with closing(self.catalog()) as catalog:
            catalog.load_table(NAME).append(table)

    def rows(self) -> list[dict[str, Any]]:
        """As pyiceberg's own scan sees them, in order of ``id``."""
        return sorted(self.table().scan().to_arrow().to_pylist(), key=lambda row: row["id"])

    def left(self) -> list[str]:
        """What lies below the table's data that no snapshot names, and folders without files."""
        data = self.root / "data"
        if not data.exists():
            return []
        table = self.table() if (self.folder / "catalog.db").exists() else None
        named = {
            entry.data_file.file_path.removeprefix("file://")
            for snapshot in (table.metadata.snapshots if table else ())
            for manifest in snapshot.manifests(table.io)
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
        }
        here = [path for path in data.rglob("*") if str(path) not in named]
        return sorted(str(p.relative_to(data)) for p in here if p.is_file() or not any(p.iterdir()))


@dataclass(frozen=True)
class StoreLake(Lake):
    """The table's files in an object store; the catalog in the project folder. ``store`` is what a document says of it."""

    store: dict[str, Any]

    @property
    def connection(self) -> dict[str, Any]:
        return {**CONNECTION, "store": self.store}

    def context(self, reached: Callable[[str], None] | None = None) -> Context:
        """As every component of a run has a private folder of its own."""
        scratch = Path(mkdtemp(prefix="scratch-", dir=self.folder))
        return replace(super().context(reached), scratch=scratch)

    @property
    def options(self) -> dict[str, str]:
        """What pyiceberg itself is told, to reach the store by its own means."""
        told = self.store
        return {
            "warehouse": f"s3://{told['bucket']}/{told['prefix']}/lake",
            "s3.endpoint": told["endpoint"],
            "s3.access-key-id": told["access_key_id"],
            "s3.secret-access-key": told["secret_access_key"],
            "s3.region": "us-east-1",
        }

    def catalog(self) -> SqlCatalog:
        return SqlCatalog("default", uri=f"sqlite:///{self.folder}/catalog.db", **self.options)

    def left(self) -> list[str]:
        """Keys of the table's data, and of attempts, that no snapshot names."""
        table = self.table() if (self.folder / "catalog.db").exists() else None
        named = {
            entry.data_file.file_path.partition("/oil/prices/")[2]
            for snapshot in (table.metadata.snapshots if table else ())
            for manifest in snapshot.manifests(table.io)
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
        }
        keys = (key.partition("/oil/prices/")[2] for key in keys_in(store_of(self.store)))
        return sorted(key for key in keys if not key.startswith("metadata/") and key not in named)
