"""Delta Lake tables on local file systems: read natively by the engine, written with an exactly-once marker.

Who knows what:
``schema`` the mapping of types; ``table`` one version of a table: protocol, files, partition values; ``source`` reading;
``staging`` what a writer leaves before the commit, and how it is made durable; ``statistics`` what the log says of a
file; ``commit`` the compare-and-swap on the log, marker and fence; ``merge`` copy-on-write in DuckDB; ``sink`` writing.

deltalake is the only one that writes the log. Data files are written by the engine (or, in a merge, by our own DuckDB)
and handed to deltalake as file actions; every commit goes through a handle whose marker was checked, with no retries of
the library: the version after the handle's is created by exactly one writer, so that check and write are one act, and
the committed version is known without asking.
"""
