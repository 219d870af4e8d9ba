"""What is written beside the target while an epoch is at work, on a disk that takes no more."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from penstock.connectors.api import Allowance
from penstock.connectors.arrow_staging import ArrowWriter, StagingFolder
from penstock.connectors.sqlite.storing import Storing
from penstock.errors import FatalError
from penstock.ledger.api import PipelineKey
from penstock.ledger.rejects import RejectFiles
from penstock.run.kept import KeptWriter
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penstock.connectors.api import BatchWriter

SCHEMA = Schema.of({"raw": "string"})
ROWS = pa.record_batch({"raw": [os.urandom(50).hex() for _ in range(1000)]})
ROOM = 30_000


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows beyond ``ROOM`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def kept(folder: Path) -> BatchWriter:
    return KeptWriter(folder / "kept.arrow", ROWS.schema)


def staged(folder: Path) -> BatchWriter:
    place = StagingFolder(folder, "sqlite", full="SNK-173", failed="SNK-174")
    return ArrowWriter(place, folder / "rows", SCHEMA, lambda: None, Storing(SCHEMA, Allowance()))


@pytest.mark.parametrize(("make", "code"), [(kept, "LED-103"), (staged, "SNK-173")])
def test_rows_without_room_are_told_with_their_place_and_leave_nothing(
    make: Callable[[Path], BatchWriter], code: str, tmp_path: Path
) -> None:
    with full_disk():
        writer = make(tmp_path)
        with pytest.raises(FatalError) as caught:  # noqa: PT012 -- whether a buffer holds the rows is the writer's affair
            writer.write(ROWS)
            writer.stage()
        writer.abort()
    assert caught.value.code == code
    assert str(tmp_path) in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_rejects_without_room_are_told_with_their_place(tmp_path: Path) -> None:
    rejects = RejectFiles(tmp_path, PipelineKey("p", "default", "x"), 1, "a", {})
    with full_disk(), pytest.raises(FatalError) as caught:  # noqa: PT012 -- as above
        rejects.write("n", ROWS)
        rejects.finish()
    assert caught.value.code == "LED-103"
    assert str(tmp_path) in str(caught.value)
