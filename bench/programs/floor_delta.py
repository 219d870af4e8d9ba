"""DuckDB alone: a Parquet copy for the append, an anti-join rewrite for the merge."""

import sys

import duckdb

kind, source, target = sys.argv[1:4]
con = duckdb.connect(config={"preserve_insertion_order": False})
if kind == "append":
    con.execute(f"copy (from '{source}') to '{target}' (format parquet)")
else:
    old = sys.argv[4]
    con.execute(
        f"copy (select * from '{old}' t anti join '{source}' s using (l_orderkey, l_linenumber) "
        f"union all select * from '{source}') to '{target}' (format parquet)"
    )
