"""Where in a CSV file the rows stand that are bad: DuckDB tells a record's place and its text of what it rejects alone.

So the file is read once more, piece by piece, as if it had more columns than it has: then every record is rejected.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, ClassVar, Final

from sqlglot import exp

from penstock.engines.duckdb.careful import reject_rows
from penstock.engines.duckdb.careful.line_breaks import stream
from penstock.engines.duckdb.readers import CsvPart, csv_reader, no_rows
from penstock.structs import Frozen, replace
from penstock.trees import call, column, create_table, drop_table
from penstock.types import STRING, Field, Schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from penstock.connectors.api import CsvFormat
    from penstock.engines.duckdb.careful.line_breaks import Prepared
    from penstock.engines.duckdb.careful.workspace import Workspace

REJECT_TABLES: Final = ("reject_errors", "reject_scans")  # DuckDB's
_PIECE_BYTES: Final = 32 * 2**20
_BAD_ROWS: Final = "bad_rows"
_CAUSES: Final = reject_rows.SCHEMA["causes"]
_RECORD: Final = Field("record", STRING)
_NUMBERS: Final = Schema((*Schema.of({"number": "int64?"}), _CAUSES, _RECORD))
_PLACES: Final = Schema((*Schema.of({"line": "uint64?", "byte": "uint64?", "raw": "string?"}), _CAUSES, _RECORD))
# Blank lines before a record are taken for its beginning where the file has one column.
_RECORDS: Final = """
    CREATE TEMP TABLE records AS
    SELECT line + $before AS line, byte + strlen(text) - strlen(raw) + $begun AS byte, raw
    FROM (
        SELECT line, any_value(line_byte_position) AS byte, any_value(csv_line) AS text, ltrim(text, e'\r\n') AS raw
        FROM reject_errors GROUP BY line
    )
"""
_NUMBERED: Final = """
    CREATE TEMP TABLE numbered AS SELECT *, $before + row_number() OVER (ORDER BY line) AS number
    FROM records WHERE line NOT IN (SELECT line FROM malformed) AND NOT list_contains($nulls, raw)
"""
_BAD_RECORDS: Final = """
    INSERT INTO bad_records SELECT line, byte, raw, causes, record FROM numbered JOIN bad_rows USING (number)
"""


class Located:
    """The bad rows of one file: first only their numbers among its rows, then, in ``TABLE``, their place and text.

    ``TABLE``: line (from 1), byte (from 1), raw, causes, and the texts by column (JSON). It and what it is made of are the private database's, and
    go with ``close``.
    """

    TABLE: ClassVar[str] = "bad_records"

    def __init__(self, workspace: Workspace, form: CsvFormat, ready: Prepared, *, columns: int) -> None:
        self._workspace = workspace
        self._form = form
        self._ready = ready
        self._columns = columns
        # A blank line is a row only where there is one column, and DuckDB does not reject it: such rows are not numbered.
        quote = '"' if form.quote is None else form.quote
        texts = [*form.null_values, *(f"{quote}{text}{quote}" for text in form.null_values if form.quoted_nulls)]
        self._nulls = texts if columns == 1 else []
        self._last = 0
        self._beside = workspace.database.cursor()  # the rows are still coming on the other connection
        for name, schema in ((_BAD_ROWS, _NUMBERS), (self.TABLE, _PLACES)):
            self._beside.execute(create_table(name, no_rows(schema)).sql(dialect="duckdb"))

    def taken_from(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch without its bad rows, and without its last three columns: the row's number, from 1 (of one column: among
        those that are not null), the causes and the texts, null where a row is good.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        *columns, numbers, causes, records = batch.columns
        rest = pa.RecordBatch.from_arrays(columns, names=batch.schema.names[:-3])
        if causes.null_count == len(causes):
            return rest
        is_bad = pc.is_valid(causes)
        bad = pa.table({"number": numbers, "causes": causes, "record": records}).filter(is_bad)
        self._last = bad.column("number")[-1].as_py()
        self._beside.register("more", bad)
        self._beside.execute("INSERT INTO bad_rows SELECT * FROM more")
        self._beside.unregister("more")
        return rest.filter(pc.invert(is_bad))

    def locate(self) -> None:
        """Fills ``TABLE``, after the last batch. Reads no further than the last bad row."""
        self._workspace.database.execute("CREATE TABLE malformed AS SELECT DISTINCT line FROM reject_errors")
        piece, data = self._workspace.scratch / "piece.csv", b""
        start = _Start()
        with stream(self._ready.path, self._form.compression) as source:
            while start.number <= self._last:
                more = source.read(_PIECE_BYTES)
                data += more
                piece.write_bytes(data)
                following = self._found_in(str(piece), start, is_last=not more)
                if not more:
                    return
                data = data[following.byte - start.byte :]
                start = following

    def _found_in(self, piece: str, start: _Start, *, is_last: bool) -> _Start:
        """Takes the bad records of a piece. Its last record may be cut off, unless the file ends with it: the next piece
        begins there.
        """
        execute = self._beside.execute
        self._reject_all(piece, start)
        execute(_RECORDS, {"before": start.line - 1, "begun": start.byte})
        last = execute("SELECT max(line), max(byte) FROM records").fetchall()[0]
        if not is_last:
            execute("DELETE FROM records WHERE line = ?", [last[0]])
        execute(_NUMBERED, {"before": start.number - 1, "nulls": self._nulls})
        execute(_BAD_RECORDS)
        rows = execute("SELECT count(*) FROM numbered").fetchall()[0][0]
        self._drop(("records", "numbered", *REJECT_TABLES))
        return start if last[0] is None else _Start(last[0], last[1] - 1, start.number + rows)

    def _reject_all(self, piece: str, start: _Start) -> None:
        """Fills DuckDB's tables. Empty values behind the last column are no fault, so that records which have as many of
        them as there are columns too many would be taken: then it is one more.
        """
        form = replace(self._form, compression="none")
        if start != _Start():
            form = replace(form, header=False, skip_lines=0)
        for more in count(1):
            types = {f"c{place}": STRING for place in range(self._columns + more)}
            reader = csv_reader(CsvPart((piece,), tuple(types), rejects=True, fed=self._ready.fed), form, types)
            extra = [column(name) for name in list(types)[self._columns :]]
            empty = [
                exp.EQ(this=call("coalesce", item, exp.Literal.string("")), expression=exp.Literal.string(""))
                for item in extra
            ]
            every = [exp.Count(this=column(name)) for name in types]  # a column that nobody asks for is not read
            query = exp.select(exp.func("count_if", exp.and_(*empty)), *every).from_(reader)
            taken = self._beside.execute(query.sql(dialect="duckdb")).fetchall()[0][0]
            if not taken:
                return
            self._drop(REJECT_TABLES)

    def _drop(self, tables: Iterable[str]) -> None:
        for table in tables:
            self._beside.execute(drop_table(table).sql(dialect="duckdb"))

    def close(self) -> None:
        self._drop((_BAD_ROWS, self.TABLE, "malformed"))
        self._beside.close()


class _Start(Frozen):
    """Where a piece begins: the record's line, from 1, its byte, from 0, and its number, from 1, among the rows."""

    line: int = 1
    byte: int = 0
    number: int = 1
