"""One DuckDB connection with its limits and its sandbox; statements run on a worker thread so that Ctrl-C acts at once.

Order matters: limits, then profiling, then what may be read, and last the lock. After it a statement can neither load an
extension, nor attach a database, nor read or write outside the named folders, nor undo any of this.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from sqlglot import exp

from penstock.embedded import connect
from penstock.engines.duckdb.careful import Workspace
from penstock.engines.duckdb.errors import batches_of
from penstock.engines.duckdb.lowered import Lowered
from penstock.engines.duckdb.profile import DISABLED_OPTIMIZERS
from penstock.trees import allowed_folders, create_table, draws, drop_table, relation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import duckdb
    import pyarrow as pa

    from penstock.embedded import Setting
    from penstock.engines.api import Limits

_CAREFUL_SHARE: Final = 4  # of memory, for a database beside this one
_LOOK_S: Final = 0.05  # how often the main thread looks up for signals and progress
Result = TypeVar("Result")


class Session:
    """Owned by one engine; used from the thread that made it, which stays free for signals while statements run."""

    def __init__(self, limits: Limits, scratch: Path, allowed: Sequence[Path], *, ordered: bool) -> None:
        self._spill = scratch / "spill"
        self._spill.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="duckdb")
        self._closed = threading.Event()
        self._interrupted = threading.Event()
        self._breakers: list[Callable[[], None]] = []
        self._drawn = itertools.count()
        self._profile: str | None = None  # of a statement after which another one was run
        self._limits = limits
        self._ordered = ordered
        self.lowered = Lowered()
        self.connection = connect(_settings(limits, self._spill, ordered=ordered))
        self._secure([*allowed, scratch])

    def _secure(self, allowed: Sequence[Path]) -> None:
        con = self.connection
        if self._limits.temp_bytes is not None:  # given to `connect` it would be shown, and not be heeded
            con.execute("SET max_temp_directory_size = ?", [f"{self._limits.temp_bytes}B"])
        con.execute("SET enable_progress_bar = true")
        con.execute("SET enable_progress_bar_print = false")
        con.execute("SET enable_profiling = 'no_output'")
        con.execute("SET disabled_optimizers = ?", [",".join(name for name in DISABLED_OPTIMIZERS)])
        # The planner takes tagged filters for very selective ones; at such an estimate it would run an as-of join as a
        # nested loop over all pairs.
        con.execute("SET asof_loop_join_threshold = 0")
        con.execute("SET allowed_directories = ?", [allowed_folders(allowed)])
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")

    @property
    def threads(self) -> int:
        return self._limits.threads

    def is_alike(self, *, threads: int, ordered: bool) -> bool:
        """Whether a session that is asked for so would be no other than this one."""
        return (threads, ordered) == (self._limits.threads, self._ordered)

    def workspace(self) -> Workspace:
        """What one careful read may use: a quarter of the memory, a folder of its own."""
        folder = Path(tempfile.mkdtemp(dir=self._spill, prefix="careful-"))  # goes when the session ends
        return Workspace(folder, self._limits.threads, self._limits.memory_bytes // _CAREFUL_SHARE)

    def do(self, work: Callable[[], Result], progress: Callable[[float], None] | None = None) -> Result:
        """Runs ``work`` on the worker thread. A KeyboardInterrupt in the meantime interrupts the statement, waits until
        it has let go, and is raised again; one is raised where ``interrupt`` was called, whatever the statement gave.
        """
        self._check()
        future: Future[Result] = self._worker.submit(work)
        try:
            return self._wait(future, progress)
        except BaseException:
            self._interrupt_until(future)
            self._check()
            raise

    def rows(self, query: exp.Query, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a query by and by, on the worker thread. A query that draws from a sequence DuckDB's client holds in
        memory as a whole, and without its profile: it is computed into a table first.
        """
        if not draws(query):
            # A relation, not a result: results copy once more on their way to Arrow.
            yield from batches_of(self.lowered.relation(query, self.connection), rows)
            return
        table = f"penstock_drawn_{next(self._drawn)}"
        self.connection.execute(create_table(table, query).sql(dialect="duckdb"))
        self._profile = str(self.connection.get_profiling_information())
        kept = exp.select("*").from_(relation(table))
        yield from batches_of(self.connection.sql(kept.sql(dialect="duckdb")), rows)
        self.connection.execute(drop_table(table).sql(dialect="duckdb"))

    def profile(self) -> str:
        """DuckDB's own of the last statement, JSON; asked for once."""
        text, self._profile = self._profile or str(self.connection.get_profiling_information()), None
        return text

    def _wait(self, future: Future[Result], progress: Callable[[float], None] | None) -> Result:
        while True:
            try:
                result = future.result(timeout=_LOOK_S)
            except NotYetError:
                if not future.done():
                    self._check()
                    if progress is not None:
                        progress(self.connection.query_progress())
            else:
                self._check()  # what it waited for may have been cut off
                return result

    def _check(self) -> None:
        if self._interrupted.is_set():
            raise KeyboardInterrupt

    def _interrupt_until(self, future: Future[Result]) -> None:
        while not future.done():
            self._break()
            try:
                future.exception(timeout=_LOOK_S)
            except NotYetError:
                continue

    def _break(self) -> None:
        self.connection.interrupt()
        for call in tuple(self._breakers):
            call()

    def on_interrupt(self, call: Callable[[], None]) -> None:
        """``call`` frees a statement that waits for something outside; it may come more than once, from any thread."""
        self._breakers.append(call)

    def forget(self, call: Callable[[], None]) -> None:
        """Takes back ``on_interrupt``; idempotent."""
        with suppress(ValueError):
            self._breakers.remove(call)

    def interrupt(self) -> None:
        """From any thread; for good: this session runs no further statement."""
        self._interrupted.set()
        self._break()

    def close(self) -> None:
        """Idempotent; removes what was spilled."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._worker.shutdown(wait=True, cancel_futures=True)
        self.connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)


def _settings(limits: Limits, spill: Path, *, ordered: bool) -> dict[str, Setting]:
    return {
        "memory_limit": f"{limits.memory_bytes}B",
        "threads": limits.threads,
        "temp_directory": str(spill),
        "preserve_insertion_order": ordered,
    }


def typing_connection() -> duckdb.DuckDBPyConnection:
    """A connection that only types queries: it may read nothing at all."""
    con = connect({"threads": 1})
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con
