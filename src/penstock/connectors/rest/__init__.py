"""JSON services over HTTP: a listing read page by page into a spooled file and from there as typed rows; rows sent back
in batches with an Idempotency-Key each.

Who knows what:
``params`` what documents say; ``paging`` which request comes next; ``pages`` what makes an answer a page; ``inspection``
how many records a page holds, and its totals and cursors; ``listing`` fetches all pages; ``spool`` the file that is the
range; ``shape`` JSON's place of the records, columns and types as DuckDB's structures; ``records`` pages to typed rows;
``faults`` records and values that are none; ``inference`` columns of a listing that nobody described; ``source`` ties it.
``rendering`` rows as JSON requests; ``sink`` sends them.
"""
