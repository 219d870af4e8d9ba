"""What the tests of Delta tables share: a project folder, sinks and sources in it, tables read by deltalake itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable

from penstock.connectors.api import Context, ScanRequest
from penstock.connectors.delta.params import DeltaSinkParams, DeltaSourceParams
from penstock.connectors.delta.sink import DeltaSink
from penstock.connectors.delta.source import DeltaSource, make_source
from penstock.structs import replace
from penstock.testing.clock import FakeClock
from penstock.testing.delivery import pull

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlglot import exp


@dataclass(frozen=True)
class Lake:
    """One table, ``root``, and what a test does with it."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "table"

    def context(self, reached: Callable[[str], None] | None = None) -> Context:
        scratch = self.folder / ".scratch"
        scratch.mkdir(exist_ok=True)
        clock = FakeClock(datetime(2024, 1, 1, tzinfo=UTC))
        made = Context("lake", lambda path: self.folder / path, scratch, clock)
        return replace(made, reached=reached) if reached else made

    def sink(
        self, reached: Callable[[str], None] | None = None, *, refreshes: bool = False, **options: Any
    ) -> DeltaSink:
        params = DeltaSinkParams.model_validate({"type": "delta", "from": "rows", "path": "table", **options})
        return DeltaSink(params, replace(self.context(reached), refreshes=refreshes))

    def source(self, **options: Any) -> DeltaSource:
        params = DeltaSourceParams.model_validate({"type": "delta", "path": "table", **options})
        return make_source(params, self.context())

    def read(
        self, source: DeltaSource, columns: tuple[str, ...] | None = None, predicate: exp.Expr | None = None
    ) -> pa.Table:
        (part,) = source.partitions()
        return pull(source.scan(ScanRequest(part, None, source.latest(part), columns, predicate)))[0]

    def table(self) -> DeltaTable:
        return DeltaTable(self.root)

    def rows(self) -> list[dict[str, Any]]:
        """As deltalake's own scan sees them, in order of ``id``."""
        found = pa.table(self.table().scan()).to_pylist()
        return sorted(found, key=lambda row: row["id"])

    def log(self, version: int) -> list[dict[str, Any]]:
        text = (self.root / "_delta_log" / f"{version:020}.json").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def append_to_log(self, *actions: dict[str, Any]) -> None:
        """A version of some foreign writer's own making."""
        version = self.table().version() + 1
        lines = "\n".join(map(json.dumps, actions))
        (self.root / "_delta_log" / f"{version:020}.json").write_text(lines + "\n")
