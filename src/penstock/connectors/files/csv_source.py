"""CSV files, read by the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from penstock.connectors.api import CsvFormat, Files
from penstock.connectors.files.csv_dialect import ALSO_DELIMITER, check_characters, check_time_format
from penstock.connectors.files.csv_text import find_delimiter, first_records, header_names, infer, without_comments
from penstock.connectors.files.file_source import (
    CAPABILITIES,
    NOTES,
    TEXT_OUTLINE,
    FileSource,
    FileSourceParams,
    brought_together,
    sampled,
)
from penstock.connectors.files.text import check_encoding, compression_of, cut_to_lines, head_of, readable
from penstock.connectors.files.text_pieces import Quoting, divide_text
from penstock.errors import ConfigError, DataError
from penstock.registry import Descriptor
from penstock.structs import Frozen, replace
from penstock.types import STRING, Schema
from penstock.types import Field as Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Context
    from penstock.connectors.files.listing import FoundFile, Place
    from penstock.connectors.files.pieces import Budget
    from penstock.types.logical import LogicalType


class CsvSourceParams(FileSourceParams):
    """CSV files, UTF-8 unless said otherwise."""

    delimiter: Annotated[str | None, ALSO_DELIMITER] = Field(
        default=None, min_length=1, max_length=1, description="Between values; unsaid, found out of , ; tab and |."
    )
    quote: str = Field(default='"', max_length=1, description='Around values; "" where there are no quotes.')
    escape: str | None = Field(
        default=None, max_length=1, description="Before a quote within quotes; unsaid, the quote itself."
    )
    header: bool = Field(default=True, description="Whether the first record of each file names the columns.")
    columns: list[str] | None = Field(
        default=None,
        min_length=1,
        description="The names of all columns in their order, for files without a header; unsaid, those of `schema`.",
    )
    encoding: str = Field(default="utf-8", description="Such as utf-8, latin-1, windows-1252, utf-16.")
    null_values: list[str] = Field(default_factory=lambda: [""], min_length=1, description="Texts that stand for null.")
    quoted_nulls: bool = Field(
        default=False, description='Whether a null text in quotes is null, too; by default "" is an empty text.'
    )
    skip_lines: int = Field(default=0, ge=0, description="Lines before the header, or before the first record.")
    comment: str | None = Field(
        default=None, min_length=1, max_length=1, description="A line that begins with it is no record."
    )
    date_format: str | None = Field(
        default=None,
        min_length=1,
        description="How dates are written, such as %d.%m.%Y; unsaid, in ISO 8601. Days and months may have one digit, %Y has four.",
    )
    timestamp_format: str | None = Field(
        default=None,
        min_length=1,
        description="How timestamps are written, such as %d/%m/%Y %H:%M; unsaid, in ISO 8601.",
    )
    decimal_separator: Literal[".", ","] = Field(default=".", description="Before the digits of a fraction.")
    compression: Literal["none", "gzip", "zstd"] | None = Field(
        default=None, description="Unsaid, found out from the first bytes of each file."
    )

    @field_validator("date_format", "timestamp_format")
    @classmethod
    def _is_a_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            check_time_format(value)
        return value

    @model_validator(mode="after")
    def _characters_differ(self) -> CsvSourceParams:
        check_characters(delimiter=self.delimiter, quote=self.quote, comment=self.comment)
        check_characters(delimiter=self.delimiter, escape=self.escape, comment=self.comment)
        return self


class _Look(Frozen):
    """What is known of one file from its beginning."""

    file: FoundFile
    form: CsvFormat
    text: str
    names: tuple[str, ...]


class CsvSource(FileSource):
    """Columns: those of the header, or as `columns` or `schema` name them; types: the schema's, else inferred from the
    first MiB of at most 16 files, widened over them, a text where they do not agree.
    """

    endings = (".csv", ".tsv", ".txt", ".csv.gz", ".csv.zst", ".tsv.gz", ".tsv.zst")
    outline = TEXT_OUTLINE

    def __init__(self, params: CsvSourceParams, context: Context) -> None:
        super().__init__(params, context)
        self._csv = params
        self._encoding = check_encoding(params.encoding)
        if params.header and params.columns is not None:
            raise ConfigError(
                "SRC-137",
                "`columns` names the columns of files without a header",
                hint="say header: false; with skip_lines: 1 where a header is to be replaced",
                about=("columns",),
            )

    def _describe(self, files: Sequence[FoundFile]) -> Schema:
        looks = [self._look(file) for file in files]
        names = self.merged_names({look.file.name: look.names for look in looks if look.names})
        known = self._known_types()
        unknown = [name for name in names if name not in known]
        inferred = self._inferred(looks) if unknown and self._needs_types() else {}
        columns = tuple(Column(name, known.get(name) or inferred.get(name, STRING)) for name in names)
        contract = self._context.contract
        if not columns and contract is not None:  # nothing but empty files
            return contract.schema
        return Schema(columns)

    def _known_types(self) -> dict[str, LogicalType]:
        contract = self._context.contract
        return {column.name: column.type for column in contract.schema} if contract is not None else {}

    def _needs_types(self) -> bool:
        """Columns that a contract ignores or refuses are text for all it matters."""
        contract = self._context.contract
        return contract is None or contract.on_new_column == "add"

    def _files(self, files: Sequence[FoundFile], wanted: Schema) -> Files:
        looks = [self._look(file) for file in files]
        self.merged_names({look.file.name: look.names for look in looks if look.names})
        _check_alike(looks)
        given = readable(
            [(look.file, look.form.compression or "none") for look in looks],
            self._encoding,
            self._context.scratch,
            strips_mark=False,
            quoting=self._quoting(looks[0].form),
        )
        return Files(
            format=replace(
                next((look.form for look in looks if look.names), looks[0].form),
                encoding="utf-8",
                compression=given[0].compression,
            ),
            paths=tuple(item.path for item in given),
            schema=wanted,
            bad_values=self.bad_values,
            union_by_name=self.takes_differing,
            layouts={item.path: look.names or wanted.names for item, look in zip(given, looks, strict=True)},
            origins={item.path: item.origin for item in given if item.origin is not None},
        )

    def _divide(self, file: FoundFile, start: Place, budget: Budget) -> Place | None:
        """Lines before the header, comments and other quotes than doubled ones are the reader's affair."""
        form = self._look(file).form
        doubled = form.escape in {None, form.quote}
        if self._encoding != "utf-8" or form.compression != "none" or form.skip_lines or form.comment or not doubled:
            return super()._divide(file, start, budget)
        return divide_text(file, start, budget, self._quoting(form))

    def _quoting(self, form: CsvFormat) -> Quoting:
        return Quoting(form.delimiter or ",", form.quote or "", self._csv.header)

    # ------------------------------------------------------------ looking at a file

    def _look(self, file: FoundFile) -> _Look:
        form = self._form(file)
        text, whole = head_of(file.path, form.compression or "none", encoding=self._encoding)
        if form.delimiter is None:
            form = replace(form, delimiter=find_delimiter(text, form))
        return _Look(file, form, cut_to_lines(text, whole=whole), self._names(text, form, file))

    def _form(self, file: FoundFile) -> CsvFormat:
        params = self._csv
        is_tsv = params.delimiter is None and file.name.lower().split(".", 1)[-1].startswith("tsv")
        return CsvFormat(
            delimiter="\t" if is_tsv else params.delimiter,
            quote=params.quote,
            escape=params.escape,
            header=params.header,
            encoding=self._encoding,
            null_values=tuple(params.null_values),
            quoted_nulls=params.quoted_nulls,
            skip_lines=params.skip_lines,
            comment=params.comment,
            date_format=params.date_format,
            timestamp_format=params.timestamp_format,
            decimal_separator=params.decimal_separator,
            compression=compression_of(file.path, params.compression),
        )

    def _names(self, text: str, form: CsvFormat, file: FoundFile) -> tuple[str, ...]:
        if self._csv.header:
            return header_names(text, form, file.name)
        if self._csv.columns is not None:
            return tuple(self._csv.columns)
        if self._context.contract is not None:
            return self._context.contract.schema.names
        records = first_records(text, form)
        return tuple(f"column{at}" for at in range(len(records[0]))) if records else ()

    def _inferred(self, looks: Sequence[_Look]) -> dict[str, LogicalType]:
        found: dict[str, LogicalType] = {}
        for look in _sampled(looks):
            for name, kind in self._types_of(look).items():
                found[name] = brought_together(found[name], kind, STRING) if name in found else kind
        return found

    def _types_of(self, look: _Look) -> dict[str, LogicalType]:
        import pyarrow as pa
        from pyarrow import csv

        if not look.names or not look.text:
            return {}
        form = look.form
        names = [f"c{at}" for at in range(len(look.names))]
        try:
            table = csv.read_csv(
                pa.BufferReader(without_comments(look.text, form).encode("utf-8", "replace")),
                read_options=csv.ReadOptions(
                    column_names=names, skip_rows=form.skip_lines, skip_rows_after_names=int(self._csv.header)
                ),
                parse_options=csv.ParseOptions(
                    delimiter=form.delimiter or ",",
                    quote_char=form.quote or False,
                    double_quote=not form.escape or form.escape == form.quote,
                    escape_char=form.escape if form.escape and form.escape != form.quote else False,
                    newlines_in_values=True,
                    invalid_row_handler=lambda _: "skip",
                ),
                convert_options=csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    null_values=list(form.null_values),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=form.quoted_nulls,
                ),
            )
        except pa.ArrowInvalid:
            return {}
        return infer(table, look.names, form=form, allowance=self._context.allowance)


def _sampled(looks: Sequence[_Look]) -> Sequence[_Look]:
    kept = {file.name for file in sampled([look.file for look in looks])}
    return [look for look in looks if look.file.name in kept]


def _check_alike(looks: Sequence[_Look]) -> None:
    """One reader has one delimiter."""
    written = [look for look in looks if look.names]
    for look in written[1:]:
        one, other = written[0].form.delimiter, look.form.delimiter
        if one != other:
            raise DataError(
                "SRC-139",
                f'the files "{written[0].file.name}" and "{look.file.name}" have different delimiters',
                detail=f"{one!r} and {other!r}",
                hint="read them as two sources, or say `delimiter` where it was found out wrongly",
            )


SOURCE: Final = Descriptor(
    name="csv",
    group="sources",
    summary="CSV files on this machine or in an object store: one, a folder, or a pattern.",
    params=CsvSourceParams,
    make=CsvSource,
    example="type: csv\npath: data/ice-*.csv\ndate_format: '%d/%m/%Y'\n",
    capabilities=CAPABILITIES,
    notes=(
        *NOTES,
        "Without a schema the types are inferred from the first MiB of at most 16 files; numbers with leading zeros stay text.",
        'An empty field is null, of any type; "" in quotes is an empty text, which no number and no date takes.',
        "A record is at most 2,000,000 bytes; a longer one becomes a reject.",
        "An infinite date or timestamp is a bad value, and so is a text that is no JSON in a column of json.",
        "Text in another encoding than UTF-8 is copied to the run's private folder first.",
    ),
)
