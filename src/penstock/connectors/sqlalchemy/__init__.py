"""Any database that SQLAlchemy has a dialect for, to read.

Who knows what:
``params`` the keys of documents; ``driver`` SQLAlchemy, connecting, its exceptions as ours; ``dialects`` what single
dialects need besides; ``names`` table names; ``columns`` which type is which, and how it is asked for; ``querying`` the
author's own SELECT; ``samples`` the types of its columns; ``values`` what drivers hand over as Arrow; ``predicates``
conditions that the database applies; ``source`` reading.
"""
