"""Python and DuckDB, and a thousand rows from CSV to Parquet."""

import sys

import duckdb

duckdb.sql(f"from read_csv('{sys.argv[1]}', header=true)").write_parquet(sys.argv[2])
