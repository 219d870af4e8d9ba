"""deltalake's own append and merge."""

import sys

import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

kind, source, target = sys.argv[1:4]
rows = pq.read_table(source)
if kind == "append":
    write_deltalake(target, rows, mode="append")
else:
    same = "t.l_orderkey = s.l_orderkey and t.l_linenumber = s.l_linenumber"
    merger = DeltaTable(target).merge(rows, same, source_alias="s", target_alias="t")
    merger.when_matched_update_all().when_not_matched_insert_all().execute()
