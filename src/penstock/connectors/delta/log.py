"""What our commits say of themselves in the table's log: who, which epoch, which files, and the receipt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.api import Receipt
from penstock.connectors.delta.layout import app_id
from penstock.structs import Frozen, asdict, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from penstock.connectors.api import Epoch, SinkId
    from penstock.connectors.delta.places import Place

_KEY: Final = "penstock"  # in the log entry's commitInfo
_BEGINNING: Final = '{"commitInfo"'
_TRANSACTION: Final = '{"txn"'


class CommitRecord(Frozen):
    """One of our commits: ``placed`` names the notes whose files it took; ``receipt`` has the version."""

    attempt: str
    placed: tuple[str, ...]
    receipt: Receipt


def to_metadata(epoch: Epoch, receipt: Receipt, placed: Sequence[str]) -> dict[str, Any]:
    """What deltalake is to write into commitInfo."""
    told = {
        "app": app_id(epoch.sink_id),
        "epoch": epoch.number,
        "fence": epoch.fence,
        "attempt": epoch.attempt,
        "placed": list(placed),
        "receipt": asdict(receipt),
    }
    return {_KEY: told}


def commit_of(place: Place, newest: int, app: str, epoch: int) -> CommitRecord | None:
    """The commit of an epoch, looked for from the newest version back; None where its log entry is gone."""
    for version in range(newest, -1, -1):
        told = _told(place.entry(version))
        if told is None:
            return None
        if told.get("app") == app and told.get("epoch") == epoch:
            return CommitRecord(told["attempt"], tuple(told["placed"]), Receipt(**told["receipt"]))
    return None


def incarnations(place: Place, sink_id: SinkId) -> frozenset[str]:
    """Of the sink's markers: in the log's entries, and in its checkpoints for entries that are gone. Raises OSError."""
    place.look()
    ours = app_id(replace(sink_id, incarnation=""))
    found = (app.removeprefix(ours) for app in _apps(place.root / "_delta_log") if app.startswith(ours))
    return frozenset(app for app in found if app == app.partition("#")[0])


def _apps(log: Path) -> Iterator[str]:
    for entry in log.glob("*.json"):
        with entry.open(encoding="utf-8") as lines:
            yield from (json.loads(line)["txn"]["appId"] for line in lines if line.startswith(_TRANSACTION))
    for checkpoint in log.glob("*.checkpoint*.parquet"):
        yield from _checkpointed(checkpoint)


def _checkpointed(checkpoint: Path) -> list[str]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(checkpoint) as file:
        transactions = file.read(columns=["txn.appId"]).column("txn").to_pylist()
    return [row["appId"] for row in transactions if row is not None]


def _told(entry: str | None) -> dict[str, Any] | None:
    """What a log entry holds of ours, perhaps nothing; None where the entry is gone."""
    if entry is None:
        return None
    # By newlines alone: a line's JSON may hold other marks that end a line of text.
    line = next((line for line in entry.split("\n") if line.startswith(_BEGINNING)), "{}")
    told = json.loads(line).get("commitInfo", {}).get(_KEY)
    return told if isinstance(told, dict) else {}
