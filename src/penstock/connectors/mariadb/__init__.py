"""MariaDB and MySQL, by PyMySQL: rows go in by LOAD DATA LOCAL, and come out as CSV that the server composes.

Who knows what:
``params`` the keys of documents; ``driver`` PyMySQL, connecting, its exceptions as ours; ``pool`` connections that are used
again; ``sql`` statements; ``names`` table names; ``catalogue`` what the server says of tables and columns; ``columns``
which type is which, here and there; ``encoding`` Arrow as the text of LOAD DATA; ``loading`` sending it; ``staging``
what a writer leaves before the commit; ``marker`` the row that makes a commit exactly once; ``merge`` rows into a table
by key; ``sink`` writing; ``reading`` how each type leaves the server as text;
``predicates`` conditions that the server applies; ``ranges`` parts of a table by a key; ``frames`` rows out of the protocol's packets;
``pipes`` their producer; ``source`` reading.
"""
