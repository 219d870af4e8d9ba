"""What tables of Parquet files have in common that a log or a catalog makes tables of: Delta Lake, Iceberg.

``tables`` what such a table tells; ``duck`` our own DuckDB, which reads and writes its files; ``literals`` and
``relations`` files as queries; ``merge`` and ``candidates`` copy on write; ``locks`` who works in a folder, ``claims`` in an
object store; ``copied`` data files from there.
"""
