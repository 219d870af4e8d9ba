"""SQLite files, read and written through the driver of Python's standard library.

``driver`` connections and what their errors mean; ``affinity`` which type a column is declared with, and back;
``storing`` Arrow columns as SQLite keeps them; ``reading`` SQLite's values as Arrow columns; ``statements`` the SQL, as
trees; ``source`` and ``sink``.
"""
