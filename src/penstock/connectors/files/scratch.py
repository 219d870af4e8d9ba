"""A prefix of its own, in the same bucket or HDFS, for the sinks of a pipeline that is tortured."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from penstock.registry import ScratchPlace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.clock import Clock


def _moved(params: Any, name: str, _folder: Path) -> Any:
    connection = params.connection
    prefix = "/".join(filter(None, (connection.prefix, name)))
    return params.model_copy(update={"connection": connection.model_copy(update={"prefix": prefix})})


@contextmanager
def _there(params: Any, clock: Clock) -> Iterator[None]:
    """Raises what the store raises."""
    try:
        yield
    finally:
        _remove(params, clock)


def _remove(params: Any, clock: Clock) -> None:
    """Raises what the store raises."""
    from penstock.connectors.files.places import open_bucket

    bucket = open_bucket(params.connection, clock)
    bucket.delete([found.key for found in bucket.list("")])


SCRATCH: Final = ScratchPlace(_moved, _there, _remove)
