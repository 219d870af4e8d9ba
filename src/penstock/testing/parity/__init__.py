"""Whether another engine means what DuckDB means: hostile values for every logical type, and both engines beside each other."""
