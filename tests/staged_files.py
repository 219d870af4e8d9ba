"""What sinks of files and of Delta tables have left beside what they committed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from pathlib import Path


def left_by_files(folder: Path) -> list[str]:
    """Files in the homes of file sinks below a folder, but for manifests, snapshots and fences, which stay."""
    homes = [path for path in folder.rglob("_penstock") if path.is_dir()]
    found = [path for home in homes for path in home.rglob("*") if path.is_file()]
    kept = {path for path in found if path.name == "manifest" or path.parent.name == "snapshots"}
    kept |= {path for path in found if path.parent.parent.name == "fences"}
    return sorted(str(path.relative_to(folder)) for path in found if path not in kept)


def left_by_delta(table: Path) -> list[str]:
    """Files in a table's folder that no entry of its log ever named, and empty folders at its top."""
    if not table.exists():
        return []
    entries = [line for entry in (table / "_delta_log").glob("*.json") for line in entry.read_text().splitlines()]
    named = {unquote(told["add"]["path"]) for told in map(json.loads, entries) if "add" in told}
    here = {str(path.relative_to(table)) for path in table.rglob("*") if path.is_file()}
    empty = [path.name for path in table.iterdir() if path.is_dir() and not any(path.iterdir())]
    return sorted([*(path for path in here - named if not path.startswith("_delta_log/")), *empty])
