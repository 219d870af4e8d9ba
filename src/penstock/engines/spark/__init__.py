"""The engine on Apache Spark: on this machine, on a cluster, or behind Spark Connect."""
