"""The function behind a `python` step, for every engine: found in the project's own folder, called with Arrow data, held
to its declared schema. It is loaded when the pipeline runs (``load_function``), and called for a stream of batches
(``apply``).
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.errors import ConfigError, DataError, PenstockError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    import pyarrow as pa

    from penstock.errors import Location
    from penstock.graph.nodes import Python

    BatchFunction: TypeAlias = Callable[[Any], Any]

# ---------------------------------------------------------------- loading


def load_function(node: Python, folder: Path) -> BatchFunction:
    """The function of the node, from a module under ``folder`` and nowhere else. Runs the module's code, once.

    Raises ConfigError CMP-264 (no such module in the folder, or its name is that of a module that is loaded already),
    CMP-265 (importing it failed), CMP-266 (no such name in it, or it cannot be called).
    """
    module_name, _, name = node.function.partition(":")
    module = _module(module_name, folder.resolve(), node.at)
    try:
        found = getattr(module, name)
    except AttributeError:
        near = nearest(name, [known for known in vars(module) if not known.startswith("_")])
        raise ConfigError(
            "CMP-266",
            f'the module "{module_name}" has no "{name}"',
            at=node.at,
            hint=f'did you mean "{near}"?' if near else None,
        ) from None
    if not callable(found):
        raise ConfigError("CMP-266", f'"{node.function}" is {type(found).__name__}, which cannot be called', at=node.at)
    function: BatchFunction = found
    return function


def _module(name: str, folder: Path, at: Location | None) -> ModuleType:
    spec = _find(name, folder)
    if spec is None or spec.origin is None or not _inside(spec.origin, folder):
        raise ConfigError(
            "CMP-264",
            f'the project has no module "{name}"',
            at=at,
            detail=f"looked for {name.replace('.', '/')}.py in {folder}.",
            hint="modules of python steps lie in the project's folder",
        )
    loaded = sys.modules.get(name) or _imported(name, folder, at)
    if getattr(loaded, "__file__", None) != spec.origin:
        raise ConfigError(
            "CMP-264",
            f'another module is called "{name}" too',
            at=at,
            detail=f"it comes from {getattr(loaded, '__file__', None) or 'Python itself'}.",
            hint="give the project's module another name",
        )
    return loaded


def _find(name: str, folder: Path) -> ModuleSpec | None:
    """The module's spec by the folder alone: packages by their parts, none of them imported."""
    importlib.invalidate_caches()
    path = [str(folder)]
    spec: ModuleSpec | None = None
    whole = ""
    for part in name.split("."):
        whole = f"{whole}.{part}" if whole else part
        spec = importlib.machinery.PathFinder.find_spec(whole, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return spec


def _inside(origin: str, folder: Path) -> bool:
    return Path(origin).resolve().is_relative_to(folder)


def _imported(name: str, folder: Path, at: Location | None) -> ModuleType:
    with _importable(folder):
        try:
            with redirect_stdout(sys.stderr):
                return importlib.import_module(name)
        except PenstockError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(
                "CMP-265", f'importing the module "{name}" failed', at=at, detail=_told(error, folder)
            ) from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """With the folder first on the path, so that the module may import its neighbours; the path is put back."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _told(error: BaseException, folder: Path | None = None) -> str:
    """Class, words and, where it is the project's own, the line; values in the words may be sensitive, so they are cut."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if folder is not None and path.is_absolute() and path.is_relative_to(folder):
            place = f" ({path.relative_to(folder)}:{trace.tb_lineno})"
        trace = trace.tb_next
    words = str(error).split("\n", 1)[0][:200]
    return f"{type(error).__name__}: {words}{place}"


# ---------------------------------------------------------------- calling


def apply(
    node: Python, function: BatchFunction, batches: Iterable[pa.RecordBatch], schema: pa.Schema, *, folder: Path
) -> Iterator[pa.RecordBatch]:
    """The rows that the function makes of the batches (all of ``schema``), in the form of the declared schema.

    Called once per batch that has rows; with ``whole_table`` once with a Table of all rows, also of none. Lazy, bounded by
    the batches (or ``max_bytes``). Raises ConfigError CMP-267 (the function failed), CMP-268 (it returned something else, or
    lacks a declared column, or one has another type), DataError DOC-413 and DOC-414 (a value or a null that the schema
    does not allow), DataError CMP-269 (the whole table is larger than stated).
    """
    import pyarrow as pa

    if not node.whole_table:
        for batch in batches:
            if batch.num_rows:
                yield from _called(node, function, rows=batch, folder=folder)
        return
    collected: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        size += batch.nbytes
        if node.max_bytes is not None and size > node.max_bytes:
            raise DataError(
                "CMP-269",
                f'the table of "{node.id}" is larger than its max_bytes of {node.max_bytes}',
                at=node.at,
                hint="raise max_bytes, or let the function take batches",
            )
        collected.append(batch)
    yield from _called(node, function, rows=pa.Table.from_batches(collected, schema=schema), folder=folder)


def _called(
    node: Python, function: BatchFunction, *, rows: pa.RecordBatch | pa.Table, folder: Path
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        with redirect_stdout(sys.stderr):  # stdout is the command's own answer
            made = function(rows)
    except PenstockError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(
            "CMP-267", f'the function "{node.function}" failed', at=node.at, detail=_told(error, folder.resolve())
        ) from error
    match made:
        case pa.RecordBatch():
            yield _conformed(node, made)
        case pa.Table():
            for batch in made.to_batches():
                yield _conformed(node, batch)
        case _:
            raise ConfigError(
                "CMP-268",
                f'the function "{node.function}" returned {type(made).__name__}',
                at=node.at,
                hint="return a pyarrow RecordBatch or Table",
            )


def _conformed(node: Python, batch: pa.RecordBatch) -> pa.RecordBatch:
    from penstock.types.conform import conform

    try:
        return conform(batch, node.declared)
    except ConfigError as error:
        first = error.problems[0]
        raise ConfigError(
            "CMP-268",
            f'the function "{node.function}" returned other columns than its schema says',
            at=node.at,
            detail=f"{first.message}{f'; {first.detail}' if first.detail else ''}",
        ) from None
