"""The engine of a cluster, on Apache Spark: expressions are lowered by an allow-list of what is proven to mean the same."""
