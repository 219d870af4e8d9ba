"""Every key of JSON files, by reading all of them: samples miss one that stands in a single object."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.connectors.database import open_database
from penstock.structs import Frozen
from penstock.trees import call, file_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from penstock.connectors.api import Allowance, JsonFormat


class OtherKey(Frozen):
    """``objects``: how many of the file at ``path`` have it; the first of those that hold any."""

    name: str
    objects: int
    path: str


def other_keys(
    form: JsonFormat, paths: Sequence[str], known: Collection[str], *, folders: Sequence[Path], allowance: Allowance
) -> tuple[OtherKey, ...]:
    """The keys of the objects, at their top, that are not ``known``, by name. What is no JSON is passed over: that it is
    none shows where the files are read for their rows.
    """
    import duckdb

    options: dict[str, exp.Expr] = {
        "compression": exp.Literal.string(form.compression or "none"),
        "filename": exp.true(),
        "hive_partitioning": exp.false(),  # a folder's name is no column
    }
    if form.layout == "lines":
        options["ignore_errors"] = exp.true()
    objects = call("read_json_objects", file_names(paths), format=exp.Literal.string(form.duckdb_format), **options)
    of_each = exp.select(
        exp.alias_(call("unnest", call("json_keys", exp.column("json"))), "name"), exp.column("filename")
    )
    listed = of_each.from_(exp.Table(this=objects)).subquery("listed")
    name, path = exp.column("name"), exp.column("filename")
    query = exp.select(name, exp.Count(this=exp.Star()), path).from_(listed).group_by(name, path).order_by(name, path)
    if known:
        query = query.where(exp.not_(name.isin(*(exp.Literal.string(key) for key in known))))
    with (
        closing(open_database(allowance, threads=allowance.threads, folders=folders, ordered=False)) as database,
        ThreadPoolExecutor(1, thread_name_prefix="json-keys") as pool,  # so that a signal is heard meanwhile
    ):
        reading = pool.submit(lambda: database.execute(query.sql("duckdb")).fetchall())
        try:
            found = reading.result()
        except (duckdb.InvalidInputException, duckdb.IOException):  # broken in a way that fails the read, too
            return ()
        finally:
            database.interrupt()
    keys: dict[str, OtherKey] = {}
    for key, count, place in found:
        keys.setdefault(key, OtherKey(key, count, place))
    return tuple(keys.values())


__all__ = ["OtherKey", "other_keys"]
