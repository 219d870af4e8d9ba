"""Our own DuckDB, for what a commit has to compute: merges, and rows whose types are not the table's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as NotYetError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlglot import exp

from penstock.connectors.database import open_database
from penstock.errors import InternalError, TransientError
from penstock.trees import column, copy_option, field_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from penstock.connectors.api import Allowance, ParquetFormat

_LOOK_S: Final = 0.05
Result = TypeVar("Result")


class Duck:
    """A database of its own, which reads and writes files of one table only. Owned by one thread."""

    def __init__(self, root: Path, allowance: Allowance) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lake-duckdb")
        self._connection = open_database(allowance, threads=allowance.threads, folders=[root], ordered=False)
        self._defined: set[str] = set()

    def run(self, statement: exp.Expr) -> None:
        """Raises TransientError SNK-257 (disk, memory)."""
        text = statement.sql(dialect="duckdb")
        self._do(lambda: self._connection.execute(text) and None)

    def rows(self, query: exp.Query | exp.Describe) -> list[tuple[Any, ...]]:
        """The few rows of a query. Errors as ``run``."""
        text = query.sql(dialect="duckdb")
        return self._do(lambda: _fetched(self._connection.sql(text)))

    def define(self, name: str, compute: Callable[[Any], pa.Array], takes: str, gives: str) -> None:
        """A function of one Arrow array, of nulls too, with types as DuckDB spells them; made once for a name."""
        from duckdb.func import ARROW, SPECIAL

        if name in self._defined:
            return
        self._defined.add(name)
        self._connection.create_function(name, compute, [takes], gives, type=ARROW, null_handling=SPECIAL)

    def _do(self, what: Callable[[], Result]) -> Result:
        """On a thread of its own, so that an interrupt ends it at once."""
        future = self._worker.submit(what)
        try:
            while True:
                with suppress(NotYetError):
                    return future.result(timeout=_LOOK_S)
                if future.done():
                    return future.result()
        except BaseException as error:
            while not future.done():
                self._connection.interrupt()
                wait((future,), timeout=_LOOK_S)
            told = _translated(error)
            if told is error:
                raise
            raise told from error

    def close(self) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._connection.close()


@contextmanager
def duck(root: Path, allowance: Allowance) -> Iterator[Duck]:
    """For the table whose folder ``root`` is; closed at the end."""
    made = Duck(root, allowance)
    try:
        yield made
    finally:
        made.close()


def _translated(error: BaseException) -> BaseException:
    import duckdb

    match error:
        case duckdb.IOException() | duckdb.OutOfMemoryException():
            return TransientError(
                "SNK-257", "the rows of a table could not be written", detail=str(error).split("\n", 1)[0][:300]
            )
        case duckdb.Error():
            return InternalError(
                "INT-900", "DuckDB refused a statement of a sink", detail=str(error).split("\n", 1)[0][:300]
            )
        case _:
            return error


def _fetched(relation: duckdb.DuckDBPyRelation) -> list[tuple[Any, ...]]:
    """Where times have a zone by way of Arrow: DuckDB's own way to Python needs one more package for them."""
    if not any(kind.id == "timestamp with time zone" for kind in relation.types):
        return relation.fetchall()
    columns = relation.to_arrow_table().columns
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


# ---------------------------------------------------------------- writing files


def copy(
    query: exp.Query, folder: Path, form: ParquetFormat, partition_by: Sequence[str], *, extension: str = "staged"
) -> exp.Copy:
    """``COPY (query) TO folder``: Parquet files below a present, empty folder."""
    options = [
        copy_option("format", "parquet"),
        copy_option("compression", "uncompressed" if form.compression == "none" else form.compression),
        copy_option("parquet_version", exp.var(form.version.upper())),
        copy_option("file_extension", extension),
        copy_option("overwrite_or_ignore", True),
    ]
    if form.compression_level is not None:
        options.append(copy_option("compression_level", form.compression_level))
    if form.field_ids:
        options.append(copy_option("field_ids", field_ids(form.field_ids)))
    if partition_by:
        names = exp.Tuple(expressions=[column(name) for name in partition_by])
        options += [copy_option("partition_by", names), copy_option("write_partition_columns", False)]
    else:  # one large file for all threads; a file per thread crashes DuckDB 2.0 where it is interrupted
        options.append(copy_option("file_size_bytes", 1 << 60))
    return exp.Copy(this=query.subquery(), kind=False, files=[exp.Literal.string(str(folder))], params=options)
