"""Iceberg tables, in folders or object stores, in a SQL or REST catalog: read by the engine, written with an exactly-once marker.

Who knows what:
``catalog`` opening a catalog, finding and creating tables; ``storage`` and ``locations`` files that pyiceberg writes, made
durable; ``places`` where tables lie, ``in_store``, ``bucket_storage`` and ``uploads`` that of those in an object store;
``schema`` the mapping of types and ids; ``partitions`` and ``transforms`` how a table is divided; ``table`` one snapshot: columns,
files, what is told of them; ``source`` reading; ``staging`` what a writer leaves before the commit; ``writer`` one attempt;
``files`` new data files and what the table says of them; ``features`` which tables are not written; ``changes`` what a
commit does by mode, by copy on write in DuckDB (``connectors.lake``); ``evolving`` columns that come and change;
``layout`` the marker; ``commit`` the compare-and-swap; ``sink`` writing.

pyiceberg is the only one that writes metadata. Data files are written by the engine, or by our own DuckDB, with the ids
of the table's columns, and handed to pyiceberg as they lie; data, marker and changed columns are one transaction, which
the catalog takes only at the snapshot that was looked at. The library's own retries are off: we look again ourselves.
"""
