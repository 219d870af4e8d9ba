"""What the sources of files share: parameters, ranges, columns of several files brought together."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pydantic import Field, model_validator

from penstock.connectors.api import Batches, Files, Origin, Source
from penstock.connectors.files.listing import Listing, by_name, unreadable
from penstock.connectors.files.new_files import Contents, grown, read_again
from penstock.connectors.files.pieces import next_piece, take_whole
from penstock.connectors.files.places import FileConnectionParam
from penstock.connectors.files.states import (
    check_described,
    check_untouched,
    names_in,
    planned,
    position_of,
    state_of,
)
from penstock.connectors.objects.outlines import Outline
from penstock.connectors.params import SourceParams
from penstock.errors import ConfigError, DataError, InternalError
from penstock.registry import Capability
from penstock.structs import Frozen, replace
from penstock.types import FLOAT64, INT64, Schema
from penstock.types import Field as Column
from penstock.types.compatibility import widen
from penstock.types.logical import Decimal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.connectors.api import Context, Partition, Position, Rows, ScanRequest, Size
    from penstock.connectors.files.listing import FoundFile, Place
    from penstock.connectors.files.object_listing import ObjectListing
    from penstock.connectors.files.pieces import Budget
    from penstock.connectors.incremental import NewFiles
    from penstock.types import LogicalType

# Not PROJECTION: every value of text is looked at, so that bad ones are found whoever uses the column.
CAPABILITIES: Final = frozenset(
    {Capability.REPLAYABLE, Capability.NATIVE, Capability.LOCAL, Capability.NEW_FILES, Capability.DIVISIBLE}
)
NOTES: Final = (
    "A file that changes after planning, and be it while it is read, fails the epoch.",
    "A change that keeps size and time of modification (cp -p, rsync -t) is seen by the time of change, which nobody can set.",
    "With incremental: files a file is told from others by all of its bytes: they are read once more when the epoch is planned.",
    "Else, a file over 8 MiB whose time of change alone is another than when the epoch was planned fails it, be it a mere chmod.",
    "Objects of a store are told apart by what it says of their content, and copied to the run's private folder before they are read.",
    "In HDFS a file is told from others by its number, time and length, and copied likewise.",
    "Google Cloud Storage is tested no further than to the making of its driver.",
)
SAMPLED_FILES: Final = 16
_LOOK_BYTES: Final = 1024
# A beginning that the first MiB of text, decompressed, is sure to stand in.
TEXT_OUTLINE: Final = Outline(head=2 * 2**20)
LONG: Final = Decimal(38, 0)  # whole numbers of which a float would lose digits


class FileSourceParams(SourceParams):
    """Files of one kind."""

    connection: FileConnectionParam | None = Field(
        default=None,
        description="The object store or HDFS they lie in, or a connection of penstock.yml; unsaid, this machine's folders.",
    )
    path: str = Field(
        min_length=1,
        description="A file, a folder, or a pattern such as data/ice-*.csv or data/**/*.csv, relative to the project, or to "
        "the connection's prefix.",
    )
    differing_columns: Literal["fail", "union"] = Field(
        default="fail",
        description="What happens where files have different columns; union takes null for those that a file lacks.",
    )

    @model_validator(mode="after")
    def _knows_contents(self) -> FileSourceParams:
        new = self.incremental.files if self.incremental is not None else None
        if self.connection is not None and new is not None and new.same_content == "skip":
            raise ValueError(
                "same_content: skip goes by checksums, which neither an object store nor HDFS gives of every file"
            )
        return self


class _Described(Frozen):
    """The columns of these files; ``known`` are the same ones."""

    files: Sequence[FoundFile]
    known: frozenset[FoundFile]
    schema: Schema


class FileSource(Source):
    """Holds nothing open but copies of objects; infers once for the same files. Position: ``states.position_of``.

    ``outline``: how much of a file ``_describe`` looks at; None: at all of it.
    """

    endings: tuple[str, ...] = ()
    outline: ClassVar[Outline | None] = None

    def __init__(self, params: FileSourceParams, context: Context) -> None:
        self._params = params
        self._context = context
        self._listing = _listing_of(params, context, self.endings)
        self._last: _Described | None = None
        self._contents = Contents()

    @property
    def named(self) -> str:
        return str(self._params.path)

    @property
    def bad_values(self) -> Literal["reject", "null", "fail"]:
        contract = self._context.contract
        return contract.on_bad_value if contract is not None else self._params.on_bad_value

    @property
    def takes_differing(self) -> bool:
        """Whether a file may lack columns that others have, or that the contract names."""
        contract = self._context.contract
        allows = contract is not None and contract.on_missing_column == "null"
        return allows or self._params.differing_columns == "union"

    def describe(self) -> Schema:
        """Errors as ``files`` of Listing, and those of the kind of file; ConfigError SRC-112 (names that differ only in
        case), SRC-134 (no column is known), SRC-135 (files differ, and the document does not allow it).
        """
        return self._schema_of(self._listing.files())

    def _schema_of(self, files: Sequence[FoundFile]) -> Schema:
        if self._last is not None and self._last.files == files:
            return self._last.schema
        self._listing.outline(self._looked_at(files), self.outline)
        described = self._describe(files).relaxed()
        if not described.fields:
            raise ConfigError(
                "SRC-134",
                f'no column of "{self.named}" is known: {self._why_nothing_is_inferred(files)}',
                hint="read XML with `type: xml`" if _begins_as_xml(files[0]) else "state them under `schema`",
            )
        check_case(described, self.named)
        self._last = _Described(files, frozenset(files), described)
        return described

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- files are one partition
        """All files as they are now, those over 8 MiB by samples: what that covers, ``planned`` says. Errors as ``files`` of
        Listing, and DataError SRC-110 where one is no longer what ``describe`` looked at.
        """
        files = self._listing.files()
        if self._last is not None:
            check_described(files, self._last.files)
        return position_of([state_of(file, whole=False) for file in files])

    def beyond(self, partition: Partition, after: Position | None) -> Position:
        """With ``incremental: files`` the files that have been read once those are that are new. Errors as ``latest``, and
        DataError SRC-113 (a file has changed, and the document wants none to).
        """
        new = self._new
        if new is None:
            return self.latest(partition)
        files = self._found()
        if self._last is not None:
            check_described(files, self._last.files)
        skips = new.same_content == "skip"
        return grown(files, after, self._contents, on_change=new.on_change, skips_same=skips)

    def read_again(self, after: Position | None, upto: Position) -> int:
        """Files that have changed since they were read."""
        return read_again(after, upto) if self._new is not None else 0

    @property
    def _new(self) -> NewFiles | None:
        return self._params.incremental.files if self._params.incremental is not None else None

    def cut(self, partition: Partition, after: Position | None, upto: Position, size: Size) -> Position:  # noqa: ARG002 -- as above
        """Errors as ``scan``."""

        def divide(file: FoundFile, start: Place, budget: Budget) -> Place | None:
            self._listing.fetch([file])
            return self._divide(file, start, budget)

        find = self._listing.finder() if isinstance(self._listing, Listing) else by_name(self._found()).get
        return next_piece(find, after, upto, size, divide)

    def undivided(self) -> None:
        """Between files at least."""

    def _divide(self, file: FoundFile, start: Place, budget: Budget) -> Place | None:
        """As ``pieces.Divide``; for kinds of files of which a part can be read."""
        take_whole(file, start, budget)
        return None

    def scan(self, request: ScanRequest) -> Rows:
        """Raises as ``describe``; ConfigError SRC-131 (a foreign position); DataError SRC-110 (a file has changed or is
        gone), SRC-135 (a file lacks columns).
        """
        found = self._ranged(request)
        chosen = planned(found, request.after, request.upto)
        schema = self._described(found)
        wanted = schema if request.columns is None else schema.select(request.columns)
        if not chosen:
            return Batches(wanted, lambda: iter(()))
        self._listing.fetch(chosen)
        rows = self._rows(chosen, wanted, request.upto)
        return rows if self._params.connection is None else _as_of_objects(rows, chosen)

    def recheck(self, request: ScanRequest) -> None:
        """By size and times; copies of objects are nobody else's."""
        if isinstance(self._listing, Listing):
            found = self._listing.again(names_in(request.after, request.upto))
            check_untouched(found, request.after, request.upto)

    def close(self) -> None:
        self._listing.close()

    def _found(self) -> Sequence[FoundFile]:
        """The files there are, perhaps none: which of them there must be, the range says."""
        try:
            return self._listing.files()
        except ConfigError as error:
            if error.code != "SRC-130":
                raise
            return ()

    def _ranged(self, request: ScanRequest) -> Sequence[FoundFile]:
        """All files, or of those of this machine the ones of a range where the columns of these are known: a folder of many is
        not listed once more for a few.
        """
        if isinstance(self._listing, Listing):
            chosen = self._listing.again(names_in(request.after, request.upto))
            if self._schema_known_of(chosen) is not None:
                return chosen
        return self._found()

    def _described(self, found: Sequence[FoundFile]) -> Schema:
        """As ``describe`` did when the run was compiled: over all files, so that a range cannot change types."""
        known = self._schema_known_of(found)
        if known is not None:
            return known
        if not found and self._context.contract is not None:
            return self._context.contract.schema.relaxed()
        return self._schema_of(found) if found else self.describe()

    def _schema_known_of(self, files: Sequence[FoundFile]) -> Schema | None:
        """The columns of the files that ``describe`` looked at, where these are among them and are what they were."""
        return self._last.schema if self._last is not None and self._last.known.issuperset(files) else None

    def _looked_at(self, files: Sequence[FoundFile]) -> Sequence[FoundFile]:
        """Those of which ``_describe`` opens any."""
        return files

    @abstractmethod
    def _describe(self, files: Sequence[FoundFile]) -> Schema: ...

    def _why_nothing_is_inferred(self, files: Sequence[FoundFile]) -> str:  # noqa: ARG002 -- for kinds that can tell more
        return "there is nothing to infer them from"

    def _rows(self, files: Sequence[FoundFile], wanted: Schema, upto: Position) -> Rows:  # noqa: ARG002 -- for those that read for themselves
        return self._files(files, wanted)

    def _files(self, files: Sequence[FoundFile], wanted: Schema) -> Files:  # noqa: ARG002 -- as above
        """What the engine's own reader is given, for the kinds of files that it reads."""
        raise InternalError("INT-900", f"{type(self).__name__} is read by no engine")

    # ------------------------------------------------------------ for the kinds of files

    def merged_names(self, names: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """The columns of all files (``names`` by file), in the order of their first appearance.

        Raises DataError SRC-135 where files differ in more than the order and may not. What the contract does not name, and
        its policy leaves out, may be in some of them.
        """
        union = tuple(dict.fromkeys(name for columns in names.values() for name in columns))
        if self.takes_differing:
            return union
        contract = self._context.contract
        ignores = contract is not None and contract.on_new_column == "ignore"
        wanted = [name for name in union if not ignores or contract is None or name in contract.schema]
        for file, columns in names.items():
            there = frozenset(columns)
            lacking = [name for name in wanted if name not in there]
            if lacking:
                raise DataError(
                    "SRC-135",
                    f'the file "{file}" lacks {", ".join(f"{name!r}" for name in lacking)}, which other files of '
                    f'"{self.named}" have',
                    hint="differing_columns: union takes null for what a file lacks",
                )
        return union

    def widened(self, schemas: Mapping[str, Schema]) -> Schema:
        """The columns of files that state their types (``schemas`` by file), widened where they differ.

        Raises DataError SRC-135 as ``merged_names``, and where no type holds what two files have.
        """
        names = self.merged_names({file: schema.names for file, schema in schemas.items()})
        relaxed = {file: schema.relaxed() for file, schema in schemas.items()}
        return Schema(tuple(self._widened(name, relaxed) for name in names))

    def _widened(self, name: str, schemas: Mapping[str, Schema]) -> Column:
        fields = [(file, field) for file, schema in schemas.items() if (field := schema.get(name))]
        first, merged = fields[0]
        for file, field in fields[1:]:
            kind = widen(merged.type, field.type)
            if kind is None:
                raise DataError(
                    "SRC-135",
                    f'the column "{name}" is {merged.type} in "{first}" and {field.type} in "{file}" of "{self.named}"',
                    hint="read them as two sources and cast the column in one of them",
                )
            merged = Column(name, kind)
        return merged


def _listing_of(params: FileSourceParams, context: Context, endings: tuple[str, ...]) -> Listing | ObjectListing:
    if params.connection is None:
        return Listing(str(params.path), context.resolve, endings)
    from penstock.connectors.files.object_listing import ObjectListing

    return ObjectListing.of(str(params.path), params.connection, context=context, endings=endings)


def _as_of_objects(rows: Rows, files: Sequence[FoundFile]) -> Rows:
    """Rejects name the object, not its copy."""
    if not isinstance(rows, Files):
        return rows
    copies = {file.place: Origin(file.shown, 0) for file in files}
    return replace(rows, origins={**copies, **rows.origins})


def check_case(schema: Schema, named: str) -> None:
    """Raises ConfigError SRC-112."""
    collisions = schema.case_collisions()
    if collisions:
        one, other = collisions[0]
        raise ConfigError(
            "SRC-112",
            f'the columns "{one}" and "{other}" of "{named}" differ only in case',
            hint="rename one of them where the data comes from",
        )


def brought_together(one: LogicalType, other: LogicalType, fallback: LogicalType) -> LogicalType:
    """The type of a column that two files were inferred to differ in: whole numbers beside fractions are fractions."""
    if FLOAT64 in (one, other) and {one, other} <= {INT64, FLOAT64}:
        return FLOAT64
    return widen(one, other) or fallback


def sampled(files: Sequence[FoundFile]) -> Sequence[FoundFile]:
    """At most 16 files, evenly spread, first and last among them."""
    if len(files) <= SAMPLED_FILES:
        return files
    step = (len(files) - 1) / (SAMPLED_FILES - 1)
    return [files[round(at * step)] for at in range(SAMPLED_FILES)]


def _begins_as_xml(file: FoundFile) -> bool:
    """Raises ConfigError SRC-132."""
    try:
        with file.path.open("rb") as stream:
            return stream.read(_LOOK_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    except OSError as error:
        raise unreadable(file.path, error) from None
