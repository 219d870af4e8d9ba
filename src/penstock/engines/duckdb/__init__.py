"""The embedded engine: DuckDB runs the graph, with its own readers and writers where it can."""
