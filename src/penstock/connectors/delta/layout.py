"""Where things lie in a table's folder, and how values become folder names and log texts.

``_penstock/<sink>/<epoch>-<n>/`` is one writer's attempt (folders that begin with ``_`` are no data to any reader of
Delta); ``<column>=<value>/part-….parquet`` are data files, named as DuckDB names the folders of partitions.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal as Number
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from penstock.connectors.commits import fingerprint
from penstock.errors import DataError
from penstock.types import Decimal, Kind, LogicalType, Primitive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from penstock.connectors.api import Epoch, SinkId

STAGING: Final = "_penstock"
NULL_FOLDER: Final = "__HIVE_DEFAULT_PARTITION__"
_PARTITION_KINDS: Final = frozenset(
    {
        *(Kind.STRING, Kind.BOOLEAN, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ),
        *(Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64),
    }
)
# What deltalake leaves as it is in a path that it writes into the log.
_UNESCAPED: Final = "/!$&'()+,-.:;=@_~"


def app_id(sink_id: SinkId) -> str:
    """Under which the marker stands in the table's log."""
    return f"penstock/{sink_id}"


def fence_id(sink_id: SinkId) -> str:
    """Under which the fence of the last commit stands, as a transaction of its own: it outlives the log entry. It is the
    same for all incarnations of the sink.
    """
    return f"penstock/{'/'.join(sink_id.lasting)}#fence"


def sink_folder(root: Path, sink_id: SinkId) -> Path:
    """The staging area of a sink, the same for all its incarnations."""
    return root / STAGING / fingerprint(*sink_id.lasting)


def log_file(root: Path, version: int) -> Path:
    """The log entry of a version."""
    return root / "_delta_log" / f"{version:020}.json"


def file_stem(epoch: Epoch) -> str:
    """Begins the names of an attempt's data files."""
    named = fingerprint(*epoch.sink_id.parts, str(epoch.number), epoch.attempt)
    return f"part-{epoch.number:06}-{named}"


def logged(path: str) -> str:
    """A relative path as deltalake writes it into the log."""
    return quote(path, safe=_UNESCAPED)


# ---------------------------------------------------------------- partitions


def can_partition(logical: LogicalType) -> bool:
    """Whether values of that type have one text each that every reader of Delta takes back as the same value."""
    return isinstance(logical, Decimal) or (isinstance(logical, Primitive) and logical.kind in _PARTITION_KINDS)


def partition_of(folder: str, types: Mapping[str, LogicalType]) -> dict[str, str | None]:
    """The texts for the log of what a folder ``a=1/b=x`` stands for; ``types`` are those of the partition columns, in
    order. Raises DataError SNK-252 for a value that has no such text.
    """
    texts = [part.split("=", 1)[1] for part in folder.split("/")] if folder else []
    return {
        name: _text(name, None if text == NULL_FOLDER else unquote(text), logical)
        for (name, logical), text in zip(types.items(), texts, strict=True)
    }


def _text(name: str, value: str | None, logical: LogicalType) -> str | None:
    """``value`` is as DuckDB casts it to text, in UTC."""
    if value is None or not isinstance(logical, Primitive):
        return value
    try:
        match logical.kind:
            case Kind.DATE:
                return partition_text(date.fromisoformat(value))
            case Kind.TIMESTAMP:
                return partition_text(datetime.fromisoformat(value))
            case Kind.TIMESTAMPTZ:
                return partition_text(datetime.fromisoformat(value).astimezone(UTC))
            case _:
                pass
    except (ValueError, OverflowError):
        raise _impossible(name, f"a {logical} outside the years 1 to 9999") from None
    if value == "":
        raise _impossible(name, "an empty text, which Delta reads as null")
    return value


def partition_text(value: Any) -> str | None:
    """A value of a type that :func:`can_partition`, as the log has it."""
    match value:
        case datetime():
            moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
            return moment.isoformat(" ", "microseconds")
        case date():
            return value.isoformat()
        case bool():
            return str(value).lower()
        case Number():
            return format(value, "f")
        case None:
            return None
        case _:
            return str(value)


def _impossible(name: str, what: str) -> DataError:
    return DataError(
        "SNK-252",
        f'column "{name}" divides the table and holds {what}',
        hint="replace it before the sink (fill_null, replace, filter), or partition by another column",
    )


def folder_of(partition_by: Sequence[str], path: str) -> str:
    """The part of a relative path that names partitions."""
    return path.rpartition("/")[0] if partition_by else ""
