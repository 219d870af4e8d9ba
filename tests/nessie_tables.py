"""Tables in Nessie, a REST catalog of others' making, with their files in S3: what ``iceberg_tables`` does, there."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import NoSuchTableError

from iceberg_tables import NAME, StoreLake
from object_stores import keys_in, store_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table


@dataclass(frozen=True)
class NessieLake(StoreLake):
    """``uri`` is the catalog's; the location of a table is the catalog's choice."""

    uri: str

    @property
    def connection(self) -> dict[str, Any]:
        return {"uri": self.uri, "store": self.store}

    def catalog(self) -> RestCatalog:  # type: ignore[override]
        options = {name: value for name, value in self.options.items() if name != "warehouse"}
        return RestCatalog("nessie", uri=self.uri, **options)

    def clear(self) -> None:
        """The catalog is one for all tests of a worker."""
        with closing(self.catalog()) as catalog:
            if catalog.namespace_exists("oil") and catalog.table_exists(NAME):
                catalog.drop_table(NAME)
        store = store_of(self.store)
        obstore.delete(store, keys_in(store))

    def create(self, schema: pa.Schema, **options: Any) -> None:
        self.clear()
        with closing(self.catalog()) as catalog:
            catalog.create_namespace_if_not_exists("oil")
            catalog.create_table(NAME, schema, **options)

    def left(self) -> list[str]:
        """Keys of the table's data, and of attempts, that no snapshot names; metadata is the catalog's affair."""
        try:
            table: Table | None = self.table()
        except NoSuchTableError:
            table = None
        named = {
            urlsplit(entry.data_file.file_path).path.lstrip("/")
            for snapshot in (table.metadata.snapshots if table else ())
            for manifest in snapshot.manifests(table.io)
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
        }
        return [key for key in keys_in(store_of(self.store)) if "/metadata/" not in key and key not in named]
