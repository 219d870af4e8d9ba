"""``init``: a project that runs at once."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.document.project import project_name_of
from penstock.errors import ConfigError, nearest

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

TEMPLATES: Final = ("prices", "empty")
_NAME: Final = "$NAME"
_SCHEMA_FILE: Final = "penstock.schema.json"  # the pipelines' first line names it


def init(folder: Path, template: str) -> tuple[str, ...]:
    """Writes the template's files; the paths written, relative to the folder.

    Raises ConfigError CLI-110 (no such template), CLI-111 (a file is there already; nothing was written), CLI-112.
    """
    if template not in TEMPLATES:
        near = nearest(template, TEMPLATES)
        raise ConfigError(
            "CLI-110",
            f'there is no template "{template}"',
            hint=f'did you mean "{near}"?' if near else f"there are {', '.join(TEMPLATES)}",
        )
    root = resources.files("penstock.service").joinpath("templates", template)
    name = project_name_of(folder.absolute())
    files = {path: content.replace(_NAME, name) for path, content in sorted(_files(root, Path()))}
    files[Path(_SCHEMA_FILE)] = _schema()
    taken = [str(path) for path in files if (folder / path).exists()]
    if taken:
        raise ConfigError(
            "CLI-111", f'"{folder}" has {", ".join(taken)} already', hint="name an empty folder; nothing was written"
        )
    try:
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigError("CLI-112", f'"{folder}" cannot be written', detail=f"{error.strerror}.") from None
    return tuple(str(path) for path in files)


def _files(part: Traversable, path: Path) -> list[tuple[Path, str]]:
    """Dotfiles are kept without their dot: packages leave such files out."""
    found: list[tuple[Path, str]] = []
    for item in part.iterdir():
        if item.name.startswith("__"):
            continue
        own = path / (f".{item.name[4:]}" if item.name.startswith("dot-") else item.name)
        found += _files(item, own) if item.is_dir() else [(own, item.read_text(encoding="utf-8"))]
    return found


def _schema() -> str:
    import json

    from penstock.service.describing import json_schema

    return json.dumps(json_schema(), ensure_ascii=False, indent=1) + "\n"
