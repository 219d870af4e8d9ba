"""Delta Lake tables, in folders and in object stores: read natively by the engine, written with an exactly-once marker.

Who knows what:
``schema`` the mapping of types; ``places`` where a table lies, ``mirror`` and ``uploads`` that of one in an object store;
``table`` one version of a table: protocol, files, partition values; ``source``
reading; ``layout`` names of folders and files; ``staging`` what a writer leaves before the commit; ``disk``
how that is made durable; ``statistics`` what the log says of a file; ``writer`` one attempt; ``features`` which tables
are not written; ``changes`` what a commit does by mode, by copy on write in DuckDB (``connectors.lake``); ``commit`` the compare-and-swap on the log, marker and fence; ``log`` what our entries say; ``sink``
writing.

deltalake is the only one that writes the log. Data files are written by the engine (or, in a merge, by our own DuckDB)
and handed to deltalake as file actions; every commit goes through a handle whose marker was checked, with no retries of
the library: the version after the handle's is created by exactly one writer, so that check and write are one act, and
the committed version is known without asking.
"""
