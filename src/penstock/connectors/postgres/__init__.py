"""PostgreSQL: read through COPY into pipes that the engine's own CSV reader drains, written through binary COPY.

Who knows what:
``params`` the keys of documents; ``driver`` psycopg, connecting, its exceptions as ours; ``pool`` connections that are
used again; ``names`` table names; ``catalogue`` what the server's catalogue says of relations and types; ``reading`` how
each type leaves the server as text; ``predicates`` conditions that the server may apply; ``ranges`` how a read is cut
into parts; ``copying`` the pipes and their producers; ``source`` and ``family`` reading one table and many;
``columns`` how each type enters, and what a column of the target takes; ``binary`` Arrow as binary COPY;
``staging`` what a writer leaves before the commit; ``marker`` the row that makes a commit exactly once; ``merge`` rows
into a table by key; ``sink`` writing.

Statements are composed by psycopg.sql (identifiers and literals are quoted there and nowhere else); conditions are
SQLGlot trees until they are printed in PostgreSQL's dialect.
"""
