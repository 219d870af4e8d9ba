"""Whether an expression gives the same on DuckDB and on Spark: hostile rows, cases made of the allow-list, and the comparison."""
