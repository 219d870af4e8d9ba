"""A REST catalog for tests: the calls that a table needs, over HTTP, answered by a SQL catalog in a file.

It stands for the protocol, not for any vendor's server: it takes every token but one, and knows no views and no paging.
"""

from __future__ import annotations

import json
import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic import TypeAdapter
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchNamespaceError, NoSuchTableError
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import StagedTable
from pyiceberg.table.update import TableRequirement, TableUpdate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyiceberg.table import Table

WRONG_TOKEN = "wrong"
UPDATES = TypeAdapter(tuple[TableUpdate, ...])
REQUIREMENTS = TypeAdapter(tuple[TableRequirement, ...])


def told(table: Table) -> dict[str, Any]:
    where = table.metadata_location
    return {"metadata-location": where, "metadata": json.loads(table.metadata.model_dump_json()), "config": {}}


class Handler(BaseHTTPRequestHandler):
    """``catalog_folder`` and ``catalog_options`` are set in a class of their own for each server."""

    catalog_folder: Path
    catalog_options: dict[str, str]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        given = json.loads(self.rfile.read(length) or b"{}")
        try:
            if self.headers.get("Authorization") == f"Bearer {WRONG_TOKEN}":
                status, answer = 401, _failure(401, "NotAuthorizedException", "no such token")
            else:
                status, answer = 200, self._asked(self.path.removeprefix("/v1/").split("?")[0].split("/"), given)
        except (NoSuchTableError, NoSuchNamespaceError) as error:
            status, answer = 404, _failure(404, type(error).__name__.replace("Error", "Exception"), str(error))
        except CommitFailedException as error:
            status, answer = 409, _failure(409, "CommitFailedException", str(error))
        body = b"" if self.command == "HEAD" else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _asked(self, path: list[str], given: dict[str, Any]) -> dict[str, Any]:
        folder = self.catalog_folder
        with closing(SqlCatalog("rest", uri=f"sqlite:///{folder}/rest.db", **self.catalog_options)) as catalog:
            match self.command, path:
                case _, ["config"]:
                    return {"defaults": {}, "overrides": {}}
                case "POST", ["namespaces"]:
                    catalog.create_namespace_if_not_exists(tuple(given["namespace"]))
                    return {"namespace": given["namespace"], "properties": {}}
                case _, ["namespaces", space]:
                    return {"namespace": [space], "properties": catalog.load_namespace_properties(space)}
                case "POST", ["namespaces", space, "tables"]:
                    schema = Schema.model_validate(given["schema"])
                    spec = PartitionSpec.model_validate(given["partition-spec"])
                    name = f"{space}.{given['name']}"
                    # As services do that leave nothing to chance: another place each time they are asked.
                    location = (
                        given.get("location")
                        or f"{self.catalog_options['warehouse']}/{space}/{given['name']}_{uuid4()}"
                    )
                    staged = catalog.create_table_transaction(
                        name, schema, location, spec, properties=given.get("properties") or {}
                    )
                    return {**told(staged._table), "metadata-location": None}
                case "POST", ["namespaces", space, "tables", name]:
                    return self._commit(catalog, (space, name), given)
                case _, ["namespaces", space, "tables", name]:
                    return told(catalog.load_table((space, name)))
        raise NoSuchTableError(self.path)

    def _commit(self, catalog: SqlCatalog, name: tuple[str, str], given: dict[str, Any]) -> dict[str, Any]:
        stub = StagedTable(name, None, "", None, catalog)  # type: ignore[arg-type]  # its name is all that is asked for
        asked = REQUIREMENTS.validate_python(given["requirements"]), UPDATES.validate_python(given["updates"])
        done = catalog.commit_table(stub, *asked)
        return {
            "metadata-location": done.metadata_location,
            "metadata": json.loads(done.metadata.model_dump_json()),
        }


def _failure(code: int, kind: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "type": kind, "message": message}}


@contextmanager
def rest_catalog(folder: Path, **options: str) -> Iterator[str]:
    """Its address, while it runs; tables lie below ``rest`` of that folder, or where pyiceberg's options say."""
    told = {"warehouse": f"file://{folder}/rest", **options}
    handler = type("Bound", (Handler,), {"catalog_folder": folder, "catalog_options": told})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
