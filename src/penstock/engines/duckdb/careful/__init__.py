"""Reading files that hold bad records: the same rows as ``readers.files_query``, and every record that is none, by name.

Started in place of the fast read after that failed. It reads in a private database, so that nothing of it depends on
what a statement above prunes, repeats or cuts off: input records = rows + rejected records, exactly. CSV goes through
DuckDB's ``store_rejects``, one file at a time; lines of JSON are split and numbered here and taken apart by DuckDB.
"""

from penstock.engines.duckdb.careful.files import careful_files, careful_pipe
from penstock.engines.duckdb.careful.workspace import Workspace

__all__ = ["Workspace", "careful_files", "careful_pipe"]
