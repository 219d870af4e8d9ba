"""A catalog of its own, in a file, for the sinks of a pipeline that is tortured: whatever holds the real one."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from penstock.connectors.iceberg.params import IcebergConnection
from penstock.registry import ScratchPlace

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from penstock.clock import Clock
    from penstock.connectors.iceberg.params import IcebergSinkParams


def _moved(params: IcebergSinkParams, _name: str, folder: Path) -> IcebergSinkParams:
    connection = IcebergConnection(path=str(folder / "iceberg.db"), warehouse=str(folder / "warehouse"))
    return params.model_copy(update={"connection": connection})


def _there(_params: IcebergSinkParams, _clock: Clock) -> AbstractContextManager[None]:
    """The folder is made and removed by whom it belongs to."""
    return nullcontext()


SCRATCH: Final = ScratchPlace(_moved, _there)
