"""The engine of a cluster: a graph's expressions lowered to Spark by an allow-list of what is proven to mean the same."""
