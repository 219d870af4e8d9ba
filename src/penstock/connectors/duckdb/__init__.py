"""Tables of a DuckDB file, read and written.

The file is opened for each look at it and no longer: DuckDB gives it to one writing process, or to several that only read.
Within a process every opening shares one database, which DuckDB allows where all settings are the same.
"""
