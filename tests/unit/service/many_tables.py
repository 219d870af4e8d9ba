"""A source of many tables for tests: the CSV files of a folder, each a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from penstock import registry
from penstock.clock import SystemClock
from penstock.connectors.params import SourceParams
from penstock.document.assembly import Settings
from penstock.document.read import Catalogue
from penstock.errors import ConfigError
from penstock.registry import Capability, Descriptor
from penstock.service.request import Request

if TYPE_CHECKING:
    from penstock.connectors.api import Context, Source


class FolderParams(SourceParams):
    """Files by name."""

    tables: list[str]
    keys: dict[str, list[str]] = Field(default_factory=dict)
    priority: dict[str, int] = Field(default_factory=dict)
    on_table_error: Literal["continue", "stop"] = "continue"


@dataclass(frozen=True)
class File:
    name: str
    parts: tuple[str, ...]
    keys: tuple[str, ...] = ()
    priority: int = 0

    @property
    def own_name(self) -> str:
        return self.parts[-1]


class Folder:
    """``closed`` counts the families that were given back."""

    closed = 0

    def __init__(self, params: FolderParams) -> None:
        self._params = params

    @property
    def on_table_error(self) -> Literal["continue", "stop"]:
        return self._params.on_table_error

    def members(self) -> list[File]:
        if "none" in self._params.tables:
            raise ConfigError("SRC-208", '"none" matches no table')
        given = self._params
        return [
            File(name, tuple(name.split(".", 1)), tuple(given.keys.get(name, ())), given.priority.get(name, 0))
            for name in given.tables
        ]

    def source(self, member: File, context: Context) -> Source:
        csv = registry.find("sources", "csv")
        assert csv is not None
        path = Path(context.resolve("data")) / f"{member.parts[-1].encode().hex()}.csv"
        made: Source = csv.make(csv.params.model_validate({"type": "csv", "path": str(path)}), context)
        return made

    def close(self) -> None:
        Folder.closed += 1


SOURCE = Descriptor(
    name="folder",
    group="sources",
    summary="Files.",
    params=FolderParams,
    make=lambda params, _context: Folder(params),
    example="type: folder\ntables: [a.b]\n",
    capabilities=frozenset({Capability.TABLE_FAMILY}),
)


def request(root: Path, document: str, files: dict[str, str], **more: Any) -> Request:
    """The document of a project, and the contents of each table."""
    (root / "data").mkdir(exist_ok=True)
    for name, text in files.items():
        (root / "data" / f"{name.split('.', 1)[-1].encode().hex()}.csv").write_text(text, encoding="utf-8")
    (root / "penstock.yml").write_text("project: shop\n", encoding="utf-8")
    (root / "p.yml").write_text(document, encoding="utf-8")
    catalogue = Catalogue(
        lambda group, name: SOURCE if (group, name) == ("sources", "folder") else registry.find(group, name),
        registry.names,
    )
    settings = Settings({}, project_root=root, catalogue=catalogue, allow_paths=(root,))
    return Request(root / "p.yml", settings, SystemClock(), **more)
