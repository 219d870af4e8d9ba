"""Bare DuckDB: what the hardware and the engine give, typed, without anything around."""

import sys

import duckdb

kind, source, target, columns = sys.argv[1:5]
con = duckdb.connect(config={"preserve_insertion_order": False})
csv = f"read_csv('{source}', header=true, columns={columns})"
ndjson = f"read_json('{source}', format='newline_delimited', columns={columns})"
parquet = "(format parquet, compression zstd, parquet_version v2)"
match kind:
    case "csv-parquet":
        con.execute(f"copy (from {csv}) to '{target}' {parquet}")
    case "csv-aggregate":
        con.execute(
            f"copy (select l_shipmode, l_returnflag, count(*) n, sum(l_extendedprice * (1 - l_discount)) revenue "
            f"from {csv} where l_quantity > 10 group by all) to '{target}' {parquet}"
        )
    case "ndjson-parquet":
        con.execute(f"copy (from {ndjson}) to '{target}' {parquet}")
    case "ndjson-parquet-bad":
        con.execute(
            f"copy (from read_json('{source}', format='newline_delimited', ignore_errors=true, columns={columns})) "
            f"to '{target}' {parquet}"
        )
    case "parquet-parquet":
        con.execute(f"copy (from '{source}') to '{target}' {parquet}")
