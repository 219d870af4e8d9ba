"""Names in the file system: safe for any text, and told apart by a hash where they are cut or altered."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from penstock.connectors.commits import fingerprint
from penstock.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Epoch, SinkId

HOME: Final = "_penstock"
NULL_PARTITION: Final = "__HIVE_DEFAULT_PARTITION__"
STAGED: Final = "staged"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9-]+")
_LONGEST: Final = 40


def slug(text: str) -> str:
    """A readable part of a file name; not unique."""
    return _UNSAFE.sub("_", text)[:_LONGEST].strip("_") or "x"


def sink_key(sink_id: SinkId) -> str:
    """The whole sink id as one text, unmistakable whatever characters its parts have."""
    return json.dumps(sink_id.parts)


def incarnation_of(key: str, sink_id: SinkId) -> str | None:
    """The incarnation in a ``sink_key``; None where it is that of another sink."""
    *names, incarnation = json.loads(key)
    ours = tuple(names) == sink_id.lasting
    return str(incarnation) if ours else None


def sink_folder(sink_id: SinkId) -> str:
    """The folder of a sink, the same for all its incarnations: one runner has it at a time."""
    return _folder(sink_id.lasting)


def key_folder(key: str) -> str:
    """``sink_folder`` of what ``sink_key`` gives."""
    return _folder(json.loads(key)[:-1])


def _folder(lasting: Sequence[str]) -> str:
    return f"{slug(lasting[-1])}-{fingerprint(*lasting)}"


def file_home(name: str) -> str:
    """The home of a target that is one file, below the home of its folder."""
    return f"file-{slug(name)}-{fingerprint(name)}"


def attempt_folder(epoch: Epoch) -> str:
    """The folder of an attempt; ``fence_of`` reads its fence back."""
    return f"{epoch.fence}-{slug(epoch.attempt)}-{fingerprint(epoch.attempt, str(epoch.number), epoch.sink_id.incarnation)}"


def fence_of(attempt: str) -> int:
    """The fence of an attempt's folder; -1 for a folder that is none."""
    head = attempt.partition("-")[0]
    return int(head) if head.isdigit() else -1


def version_name(version: int) -> str:
    """Twelve digits, so that names sort as versions do."""
    return f"{version:012d}"


def version_of(name: str) -> int:
    """The inverse of ``version_name``; -1 for a name that is none."""
    return int(name) if name.isascii() and name.isdigit() else -1


def part_name(version: int, epoch: Epoch, *, place: int, extension: str) -> str:
    """The name of a committed file in its folder; no other attempt ever uses it."""
    return f"part-{version:08d}-{fingerprint(sink_key(epoch.sink_id), epoch.attempt)[:8]}-{place:04d}.{extension}"


def partition_values(parts: Sequence[str], columns: Sequence[str]) -> tuple[str | None, ...]:
    """The values in ``column=value`` folders as the engine writes them: percent-encoded, null by its reserved name."""
    pairs = [part.partition("=") for part in parts]
    if [unquote(name) for name, _, _ in pairs] != list(columns):
        raise InternalError("INT-900", f"the engine wrote the folders {parts!r} for the partition columns {columns!r}")
    return tuple(None if value == NULL_PARTITION else unquote(value) for _, _, value in pairs)
