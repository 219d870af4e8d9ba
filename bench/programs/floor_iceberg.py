"""pyiceberg's own append; for the upsert DuckDB's anti-join rewrite, which pyiceberg puts in the place of the old files."""

import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import AlwaysTrue

kind, source, folder, *old = sys.argv[1:]
Path(folder).mkdir(parents=True, exist_ok=True)
catalog = SqlCatalog("default", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/lake")
if kind == "append":
    rows = pq.read_table(source)
    catalog.create_namespace("oil")
    catalog.create_table("oil.prices", rows.schema).append(rows)
else:
    table = catalog.load_table("oil.prices")
    target = f"{folder}/lake/oil/prices/data/floor.parquet"
    con = duckdb.connect(config={"preserve_insertion_order": False})
    con.execute(
        f"copy (select * from '{old[0]}' t anti join '{source}' s using (l_orderkey, l_linenumber) "
        f"union all select * from '{source}') to '{target}' (format parquet)"
    )
    with table.transaction() as transaction:
        transaction.delete(AlwaysTrue())
        transaction.add_files([f"file://{target}"])
