"""What a source and a sink are, and the data that passes between them and an engine. Contracts and nothing else.

Call order of a source, all from the thread that runs the epoch unless said: ``describe``, ``partitions``, ``latest``
(ranges are then written durably), ``scan`` (as often as needed over the same range; the engine may pull the batches
from a thread of its own), ``acknowledge`` strictly after the seal, ``close``.
Call order of a sink: ``describe``, ``marker``, ``missing`` or ``incarnations``, ``prepare``, ``writer``, the writer's calls, ``commit``, ``close``; after
a restart ``marker`` and then perhaps a redo.
Every method raises only the classes of ``penstock.errors``; a driver's exception never escapes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal as Number
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, Literal, TypeAlias

from penstock.connectors.resilience.ward import Wards
from penstock.structs import Frozen, field, replace
from penstock.types.logical import Decimal, Kind, Primitive

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa
    from sqlglot import exp

    from penstock.clock import Clock
    from penstock.trees import FieldIds
    from penstock.types import Field, LogicalType, Schema

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

# A position is JSON, ordered within its partition, versioned by its connector (key "v"). It says up to where rows were
# taken, inclusive: `after=p` means "what comes after p".
Position: TypeAlias = Mapping[str, Json]


# ---------------------------------------------------------------- what is handed to a connector when it is made


def pass_by(point: str) -> None:
    """What a crash point does where nobody asked for faults: nothing."""


class Allowance(Frozen):
    """What the run gives to the databases of a connector's own (``connectors.database``): the run's memory, of which each
    takes a share, its threads, and a present, private folder for what memory cannot hold. ``spill`` None: nothing is
    spilled; ``spill_bytes`` None: as much as the disk gives.
    """

    memory_bytes: int = 4 * 2**30
    threads: int = 4
    spill: Path | None = None
    spill_bytes: int | None = None


class Context(Frozen):
    """What a connector may know of its surroundings.

    ``resolve`` turns a path of the document into an absolute one and refuses what the project does not allow;
    ``scratch`` is a private folder, present, removed after the run. ``contract`` is the schema that the document or the
    ledger states for a source, or None; ``env`` is not offered: secrets and variables are already in the parameters.
    ``reached`` is told the name of each crash point that a sink passes (``files.staged``); it does nothing unless a test
    or a torture run asks for faults, and whatever it raises is the crash. ``allowance`` bounds what the connector computes
    by itself. ``refreshes``: this run is a full refresh, so that a sink, whose mode is then overwrite, gives its
    target the columns of the rows in the commit that replaces its contents. ``wards``: what all that speak to one system in
    this command share of it.
    """

    name: str
    resolve: Callable[[str], Path]
    scratch: Path
    clock: Clock
    contract: Contract | None = None
    reached: Callable[[str], None] = pass_by
    allowance: Allowance = Allowance()
    refreshes: bool = False
    wards: Wards = field(default_factory=Wards)


class Contract(Frozen):
    """The schema a source is held to, with the policies of document.md (the first named is the default)."""

    schema: Schema
    on_new_column: Literal["ignore", "add", "fail"] = "ignore"
    on_missing_column: Literal["fail", "null"] = "fail"
    on_type_change: Literal["fail", "widen"] = "fail"
    on_bad_value: Literal["reject", "null", "fail"] = "reject"


# ---------------------------------------------------------------- data in motion


class CsvFormat(Frozen):
    """CSV as it lies in files or pipes. None means: to be found out by the reader. ``encoding`` is an IANA name."""

    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    header: bool | None = None
    encoding: str = "utf-8"
    null_values: tuple[str, ...] = ("",)
    quoted_nulls: bool = True  # whether a null text in quotes is null too, or the text itself
    skip_lines: int = 0
    comment: str | None = None
    date_format: str | None = None
    timestamp_format: str | None = None
    decimal_separator: Literal[".", ","] = "."
    compression: Literal["none", "gzip", "zstd"] | None = None


class JsonFormat(Frozen):
    """``lines``: one object per line; ``array``: one array of objects; ``values``: objects one after another, broken into
    lines anywhere.
    """

    layout: Literal["lines", "array", "values"] = "lines"
    compression: Literal["none", "gzip", "zstd"] | None = None

    @property
    def duckdb_format(self) -> str:
        """What DuckDB's readers call the layout."""
        return {"lines": "newline_delimited", "array": "array", "values": "unstructured"}[self.layout]


class ParquetFormat(Frozen):
    """Writer options; a reader needs none. ``compression`` "auto" is settled by the columns before rows are written.
    ``row_group_rows`` None: the engine's default. ``sort_by`` orders each file. ``field_ids`` are written beside the names
    of all columns, or of none.
    """

    compression: Literal["auto", "zstd", "lz4", "snappy", "none"] = "zstd"
    compression_level: int | None = None
    row_group_rows: int | None = None
    version: Literal["v1", "v2"] = "v2"
    bloom_filter: bool = True
    sort_by: tuple[str, ...] = ()
    field_ids: FieldIds = ()

    def settled(self, schema: Schema) -> ParquetFormat:
        """With a codec in place of "auto". The encodings of v2 leave nothing to compress of whole and decimal numbers and
        of moments; else zstd that tries little: a fifth of writing's time less than at its usual level, for files of
        about the same size (nine tenths to eleven tenths).
        """
        if self.compression != "auto":
            return self
        if self.version == "v2" and all(_is_encoded(item.type) for item in schema):
            return replace(self, compression="none")
        return replace(self, compression="zstd", compression_level=1)


def _is_encoded(logical: LogicalType) -> bool:
    return isinstance(logical, Decimal) or (isinstance(logical, Primitive) and logical.kind in _ENCODED)


_ENCODED: Final = frozenset(
    {
        *(Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64),
        *(Kind.BOOLEAN, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ),
    }
)


FileFormat: TypeAlias = CsvFormat | JsonFormat | ParquetFormat


class Chunk(Frozen):
    """A piece of a stream: rows, the records that could not become rows, and the position after its last row.

    ``rejects`` has the columns of :data:`REJECT_COLUMNS`, or is None.
    """

    batch: pa.RecordBatch
    position: Position
    rejects: pa.RecordBatch | None = None


# One row per rejected record: where it came from (JSON), what it was (JSON object of the row as it entered the node, or
# the raw text of a record that never became a row), and every cause (counted once per record).
REJECT_COLUMNS: tuple[tuple[str, str], ...] = (
    ("position", "json?"),
    ("row", "json?"),
    ("raw", "string?"),
    ("causes", "list<struct<code: string, column: string?, message: string>>"),
)
# What a node's reject has besides: the row of the source that became it (JSON), where each row has one.
POSITION: Final = "penstock position"  # a column that says where a row comes from, while rejects are told
SOURCE_ROW: tuple[str, str] = ("source_row", "json?")


class Batches(Frozen):
    """Rows as Arrow, pulled once per call of ``open``; ``schema`` is exact and every batch has it."""

    schema: Schema
    open: Callable[[], Iterator[Chunk]]


class Origin(Frozen):
    """What a private copy was made of, as the position of a reject names it. ``skipped`` are the bytes of the file,
    decompressed, before those that it shares with the copy; None: the copy has bytes of its own. ``records`` are those of the
    file that the copy leaves out before its own.
    """

    name: str
    skipped: int | None = None
    records: int = 0


class Files(Frozen):
    """Local files which the engine reads with its own reader. ``schema`` is what the reader must deliver, by name.

    ``constants`` are columns that no file holds (a partition's value, the table's name): per path, name to SQL literal
    tree. ``excluded`` are row numbers per path that are deleted (Delta deletion vectors).
    ``bad_values`` says what a value does that its column's type cannot take; malformed records are rejects always.
    ``field_ids`` are those of the columns, by which files of Parquet are read then, whatever their names there.
    ``layouts`` names, per path of a CSV file, the columns it holds in their order (all of them, also those that
    ``schema`` leaves out); without it the file holds the schema's. ``origins`` are those of private copies, per path.
    ``position`` is a column of JSON Lines that says of each row where it came from, for rejects: not one of the schema.
    """

    format: FileFormat
    paths: tuple[str, ...]
    schema: Schema
    bad_values: Literal["reject", "null", "fail"] = "reject"
    union_by_name: bool = False
    constants: Mapping[str, Mapping[str, exp.Expr]] = field(default_factory=dict)
    field_ids: Mapping[str, int] = field(default_factory=dict)
    layouts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    position: str | None = None

    def origin(self, path: str) -> Origin:
        """Of a file that is no copy, itself."""
        return self.origins.get(path, Origin(path, 0))


# PostgreSQL's COPY text: values apart by tabs, \N for null, \b \f \n \r \t \v \\ within values. Each row begins with a
# value more, which means nothing.
COPY_TEXT: Final = CsvFormat(
    delimiter="\t", quote="", escape="", header=False, null_values=("\\N",), quoted_nulls=False, compression="none"
)


class Pipe(Frozen):
    """Text of a known format through file descriptors, one per parallel part (PostgreSQL COPY).

    ``open`` starts the producers and returns the read ends; the engine closes them. ``finish`` waits for the producers
    and raises what went wrong there. ``open_unchecked`` gives the same rows as :data:`COPY_TEXT`, every value as the system
    prints it: at little more than half the cost, so where there is such a way it is tried first; a value that is not of its column's type
    (a date of infinity, or one before Christ) is the engine's to notice, which then asks for all of them again. ``copied`` is
    how many rows the system says that it gave since the last opening, None where it was not asked for all of them.
    """

    format: CsvFormat
    schema: Schema
    open: Callable[[], Sequence[int]]
    finish: Callable[[], None]
    open_unchecked: Callable[[], Sequence[int]] | None = None
    copied: Callable[[], int | None] | None = None


Rows: TypeAlias = Batches | Files | Pipe


# ---------------------------------------------------------------- sources


class Partition(Frozen):
    """A part of a source that has positions of its own. ``id`` is stable across runs; "" where there is only one."""

    id: str = ""


class ScanRequest(Frozen):
    """One range of one partition: (after, upto]; ``after`` None: from the beginning.

    ``columns`` in the order wanted, None: all. ``predicate`` is a SQLGlot tree in DuckDB's dialect over this source's
    columns; rows for which it is not true may be left out, and must be where the source says so in :meth:`Source.takes`
    (Capability.FILTER). Of others a run gives the bounds of a cursor.
    """

    partition: Partition
    after: Position | None
    upto: Position
    columns: tuple[str, ...] | None = None
    predicate: exp.Expr | None = None


class Size(Frozen):
    """About how much of a source an epoch takes: as much as either allows. None: no bound."""

    rows: int | None = None
    bytes: int | None = None


class Undivided(Frozen):
    """Why a source comes in one piece: ``because`` goes on after "it comes whole: ", ``hint`` is what would allow a cut."""

    because: str
    hint: str | None = None


# Of tables that others write to and that cannot be read as they were.
LIVE_TABLE: Final = Undivided(
    "others may write to it between two epochs, and nothing tells which rows an earlier one had",
    "name a column that grows with every new or changed row: `incremental: {cursor: updated_at}`",
)


class Source(ABC):
    """Where rows come from."""

    @abstractmethod
    def describe(self) -> Schema:
        """The columns of the source as it stands now, in its order. May ask the system; reads few rows at most."""

    def partitions(self) -> Sequence[Partition]:
        """At least one; stable ids."""
        return (Partition(),)

    @abstractmethod
    def latest(self, partition: Partition) -> Position:
        """Where an epoch that is planned now may end. For files: each with size, mtime in ns and checksum."""

    @abstractmethod
    def scan(self, request: ScanRequest) -> Rows:
        """Exactly the rows of that range. A replayable source gives the same rows at every call.

        Raises DataError SRC-110 where the range can no longer be read as it was planned (a file changed).
        """

    def beyond(self, partition: Partition, after: Position | None) -> Position:  # noqa: ARG002 -- most need not know
        """Where an epoch may end that begins after ``after``: ``latest``, with what has to be carried on of ``after``."""
        return self.latest(partition)

    def read_again(self, after: Position | None, upto: Position) -> int:  # noqa: ARG002 -- most read nothing twice
        """How many of its files (after, upto] has as a whole that an earlier epoch had, too: of positions alone, and also
        after ``close``.
        """
        return 0

    def cut(self, partition: Partition, after: Position | None, upto: Position, size: Size) -> Position:  # noqa: ARG002 -- most cannot
        """Where the next of several epochs over (after, upto] may end: beyond ``after``, at ``upto`` at the latest. Ranges
        that begin or end there are scanned like any other (Capability.DIVISIBLE); most sources have their rows in one piece.
        """
        return upto

    def undivided(self) -> Undivided | None:
        """Why ``cut`` leaves all there is, as it stands now, in one piece; None where it may divide it."""
        return Undivided("its rows come in one go")

    def recheck(self, request: ScanRequest) -> None:  # noqa: B027 -- most sources read one state of theirs
        """Once the rows of a scan have all been read, and before any of them is committed.

        Raises DataError SRC-110 where others may have changed the range in the midst of it.
        """

    def takes(self, predicate: exp.Expr) -> bool:  # noqa: ARG002 -- the default takes none
        """Whether ``scan`` applies exactly this predicate (one conjunct), so that the engine need not."""
        return False

    def acknowledge(self, positions: Mapping[str, Position]) -> None:  # noqa: B027 -- most sources need none
        """Tell the system that everything up to these positions (by partition id) is sealed. Idempotent."""

    def close(self) -> None:  # noqa: B027 -- most sources hold nothing
        """Give back connections and files. Idempotent."""


SpoolProgress: TypeAlias = "Callable[[int, int | None], None]"


def unheard(_records: int, _of: int | None) -> None:
    """Progress that nobody asked for."""


class Since(Frozen):
    """The least value of the cursor that is wanted, as the engine writes it as text."""

    value: str
    type: LogicalType


class Spooling(Source):
    """A source whose answers cannot be asked for twice (Capability.SPOOLS): what it got is written to files first.

    The run calls ``spool`` in place of ``latest``, once per partition and epoch, before the ranges are written;
    ``scan`` of such a range reads these files only.
    """

    def undivided(self) -> Undivided:
        """By a cursor neither."""
        return Undivided("its answers cannot be asked for twice, and are kept all at once as they came")

    @abstractmethod
    def spool(
        self, partition: Partition, folder: Path, told: SpoolProgress = unheard, since: Since | None = None
    ) -> Position:
        """Writes all there is now into files of ``folder`` (present, empty, private, kept until the epoch is sealed),
        synced, and says which they are, each with its checksum, by absolute path.

        ``told`` hears from time to time how many records are there so far, and how many there will be where that is
        known. Rows whose cursor lies before ``since`` may be left out. ``scan`` raises DataError SRC-110 where such a file is gone or altered.
        """


# ---------------------------------------------------------------- sinks


class WriteMode(StrEnum):
    """How the rows of an epoch meet what the target holds; which modes a sink has, its descriptor says."""

    APPEND = "append"
    OVERWRITE = "overwrite"
    OVERWRITE_PARTITIONS = "overwrite_partitions"
    MERGE = "merge"


class SinkId(Frozen):
    """Names a marker. Another incarnation is another history: it never collides with old markers."""

    project: str
    environment: str
    pipeline: str
    sink: str
    incarnation: str

    def __str__(self) -> str:
        return "/".join(self.parts)

    @property
    def parts(self) -> tuple[str, str, str, str, str]:
        """From the outermost on: the key of a marker."""
        return self.project, self.environment, self.pipeline, self.sink, self.incarnation

    @property
    def lasting(self) -> tuple[str, str, str, str]:
        """What all incarnations of the sink have in common."""
        return self.project, self.environment, self.pipeline, self.sink


class Epoch(Frozen):
    """One unit of commit as a sink sees it: numbered from 1 without gaps; ``attempt`` is unique per try;
    ``fence`` grows with every runner that takes the pipeline; ``planned_at`` is the epoch's ``now()``.
    """

    sink_id: SinkId
    number: int
    attempt: str
    fence: int
    planned_at: datetime


class EpochMarker(Frozen):
    """The last epoch that is committed in the sink under this sink id; ``receipt`` if the sink kept it."""

    epoch: int
    fence: int
    receipt: Receipt | None = None


class Staged(Frozen):
    """What one writer left in the sink's staging area: serialisable, so that another process can commit it."""

    rows: int
    bytes: int
    payload: Mapping[str, Json] = field(default_factory=dict)


class ColumnFigures(Frozen):
    """What is known of a column's values without another look at them: nulls, others, and of numbers the least and the
    greatest (as text; None: not known, or none).
    """

    nulls: int
    values: int
    low: str | None = None
    high: str | None = None

    def plus(self, other: ColumnFigures) -> ColumnFigures:
        """Of the values of both."""
        nulls, values = self.nulls + other.nulls, self.values + other.values
        known = [one for one in (self, other) if one.values]
        if not known or any(one.low is None or one.high is None for one in known):
            return ColumnFigures(nulls, values)
        lows, highs = [one.low or "" for one in known], [one.high or "" for one in known]
        return ColumnFigures(nulls, values, min(lows, key=Number), max(highs, key=Number))


class Receipt(Frozen):
    """What a commit did: rows sent = inserted + updated + unchanged + ignored_older, or the epoch is not sealed.

    ``deleted`` counts rows that an overwrite replaced, where the sink knows. ``version`` is the sink's own name for the
    state after this commit (Delta version, snapshot id), "" where it has none.
    """

    rows: int
    inserted: int
    updated: int = 0
    unchanged: int = 0
    ignored_older: int = 0
    deleted: int | None = None
    bytes: int = 0
    version: str = ""
    checksum: str = ""

    def plus(self, later: Receipt) -> Receipt:
        """What both commits did; the state is that after the later one."""
        return Receipt(
            self.rows + later.rows,
            self.inserted + later.inserted,
            self.updated + later.updated,
            self.unchanged + later.unchanged,
            self.ignored_older + later.ignored_older,
            None if self.deleted is None and later.deleted is None else (self.deleted or 0) + (later.deleted or 0),
            self.bytes + later.bytes,
            later.version,
            later.checksum,
        )


class Preparation(Frozen):
    """What ``prepare`` would do to the target: for ``plan``, and to refuse before a row is read.

    ``creates`` the target; ``adds`` columns; ``widens`` pairs (old, new); ``ignores`` columns that the target lacks and
    that will not be written: the caller leaves them out of what it hands to ``writer``. All empty: the target stays as
    it is. A column of the target that the rows lack is no difference: it stays (merge), or is null in the new rows.
    ``replaces``: a full refresh meets a target of other columns or types; ``prepare`` leaves it as it is, and the commit
    gives it those of the rows. Nothing else is said then.
    """

    creates: bool = False
    replaces: bool = False
    adds: tuple[Field, ...] = ()
    widens: tuple[tuple[Field, Field], ...] = ()
    ignores: tuple[Field, ...] = ()


class FileTarget(Frozen):
    """Where an engine writes files by itself: part files into ``folder`` (present, empty, private to this attempt).

    With ``partition_by`` it writes ``folder/col=value/…`` and leaves these columns out of the files iff
    ``partition_columns_in_files`` is False. ``single`` asks for exactly one file of that name, else names are the
    engine's and end in ``.{extension}``: an ending that no reader looks for while the file is not committed.
    """

    folder: Path
    format: FileFormat
    partition_by: tuple[str, ...] = ()
    partition_columns_in_files: bool = False
    single: str | None = None
    extension: str = "staged"
    max_file_bytes: int | None = None


class Writer(ABC):
    """One writer of one attempt: exactly one of the three subclasses below, which say how rows are handed over.

    ``stage`` is called once, after all rows; ``abort`` at any time instead, also after ``stage``; both close.
    Nothing a writer does is visible to readers of the sink.
    """

    @abstractmethod
    def stage(self) -> Staged:
        """Make what was written durable in the staging area and say what it is."""

    @abstractmethod
    def abort(self) -> None:
        """Remove what this attempt left, as far as the system answers. Idempotent, raises nothing."""


class BatchWriter(Writer):
    """Takes Arrow record batches of the prepared schema (same names, same order), from one thread."""

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None: ...


class FileWriter(Writer):
    """Lets the engine write files."""

    @abstractmethod
    def target(self) -> FileTarget: ...

    def counted(self, rows: Mapping[str, int]) -> None:
        """Rows per file, by path relative to the target's folder, as the engine counted them while it wrote (DuckDB:
        COPY ... RETURN_STATS). Called once before ``stage``, or never: the writer then counts for itself, slower.
        """


class PipeWriter(Writer):
    """Takes text of ``format`` through a file descriptor that the engine writes to and closes."""

    format: CsvFormat

    @abstractmethod
    def open(self) -> int:
        """Start the consumer; the write end. Errors of the consumer are raised by ``stage``."""


class Sink(ABC):
    """Where rows go: data and marker in one atomic act per epoch.

    ``remembers`` False: the system can hold no marker (a web service). ``marker`` is then always None and is not held
    against the ledger; an epoch that is not sealed is sent again, so that rows arrive at least once.
    """

    remembers: ClassVar[bool] = True

    @abstractmethod
    def describe(self) -> Schema | None:
        """The target's columns as they stand, None where there is no target yet. In a full refresh: those alone that it
        leaves even where the rows lack them, None where there are none.
        """

    @abstractmethod
    def preview(self, schema: Schema) -> Preparation:
        """What ``prepare`` would do, without doing it.

        Raises ConfigError SNK-110 (a column's type cannot be held), SNK-111 (columns differ and the policy says fail),
        SNK-112 (a key column is missing).
        """

    @abstractmethod
    def prepare(self, schema: Schema) -> None:
        """Make the target take rows of this schema: create or evolve it by policy. Idempotent. Errors as ``preview``.
        Called by who will commit, before any writer is made; a sink that only writes for it is not prepared.
        """

    @abstractmethod
    def marker(self, sink_id: SinkId) -> EpochMarker | None:
        """The last epoch committed under this id, read from the sink itself; finishes what a commit left half-visible
        (renames that a manifest lists) and removes what no commit lists. None: none was ever committed.
        """

    def missing(self) -> str | None:
        """What commits have put into the target and is no longer there, in words (``the table "prices"``, ``2 of 5
        files``); None: it all stands. Asked after ``marker`` has found one. Looks at tables and files, not into them:
        rows that somebody deletes are that person's affair.
        """
        return None

    def incarnations(self, sink_id: SinkId) -> frozenset[str]:  # noqa: ARG002 -- who remembers nothing has none
        """Under which incarnations the target holds a marker of this sink; that of ``sink_id`` is no more than one."""
        return frozenset()

    @abstractmethod
    def writer(self, epoch: Epoch, schema: Schema) -> Writer:
        """A writer for one attempt; many may be open at once where the sink declares Capability.PARALLEL."""

    @abstractmethod
    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        """Data and marker in one atomic act; the only call that readers of the sink can notice.

        A marker that already has this epoch: nothing is written and its receipt is returned. FatalError SNK-120 where
        the marker is neither this epoch nor the one before, or the fence is newer: somebody else took over.
        TransientError where the outcome is unclear: the caller reads ``marker``.
        """

    def table(self) -> Source:
        """The sink's table as a source (only with Capability.READ_BACK); its latest position is the current version."""
        from penstock.errors import InternalError

        raise InternalError("INT-900", f"{type(self).__name__} does not declare read_back")

    def close(self) -> None:  # noqa: B027 -- most sinks hold nothing
        """Give back connections. Idempotent."""
