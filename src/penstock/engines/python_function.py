"""The functions of Python steps, for every engine: found by name, called with a batch, held to their declared schema."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from penstock.errors import ConfigError, DataError, PenstockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from penstock.errors import Location
    from penstock.types import Schema

    Function = Callable[[pa.RecordBatch], object]


def load(name: str, at: Location | None) -> Function:
    """The function ``module:name``. Raises ConfigError ENG-315 where there is none, naming what is missing."""
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001 -- the module of a user may raise anything
        raise ConfigError(
            "ENG-315",
            f'the module "{module_name}" cannot be imported',
            at=at,
            detail=f"{type(error).__name__}: {error}",
        ) from None
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ConfigError("ENG-315", f'the module "{module_name}" has no function "{attribute}"', at=at)
    return function  # type: ignore[no-any-return]  # its results are checked batch by batch


def apply(function: Function, batch: pa.RecordBatch, declared: Schema, at: Location | None) -> Iterator[pa.RecordBatch]:
    """What the function makes of the batch (a RecordBatch, a Table, or None for no rows), in the declared types.

    Raises DataError ENG-314.
    """
    import pyarrow as pa

    from penstock.types.conform import conform

    try:
        result = function(batch)
    except Exception as error:
        raise DataError(
            "ENG-314", "the function of a python step raised", at=at, detail=f"{type(error).__name__}: {error}"
        ) from error
    match result:
        case None:
            return
        case pa.RecordBatch():
            parts = [result]
        case pa.Table():
            parts = result.to_batches()
        case _:
            raise DataError(
                "ENG-314", f"the function of a python step returned {type(result).__name__}, not Arrow rows", at=at
            )
    for part in parts:
        try:
            yield conform(part, declared)
        except PenstockError as error:
            raise DataError(
                "ENG-314", "a python step returned other columns than it declares", at=at, detail=str(error)
            ) from error
