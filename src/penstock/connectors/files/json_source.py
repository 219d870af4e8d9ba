"""JSON files: objects one per line, in an array, or one after another; read by the engine."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field
from sqlglot import exp

from penstock.connectors.api import Files, JsonFormat
from penstock.connectors.database import open_database
from penstock.connectors.files.file_source import (
    CAPABILITIES,
    LONG,
    NOTES,
    TEXT_OUTLINE,
    FileSource,
    FileSourceParams,
    brought_together,
    check_case,
    sampled,
)
from penstock.connectors.files.text import check_encoding, compression_of, cut_to_lines, head_of, lines_behind, readable
from penstock.connectors.files.text_pieces import Quoting, divide_text
from penstock.errors import ConfigError, DataError
from penstock.registry import Descriptor
from penstock.structs import Frozen
from penstock.trees import call
from penstock.types import FLOAT64, JSON, STRING, Schema
from penstock.types import Field as Column
from penstock.types.duckdb import from_duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from penstock.connectors.api import Context
    from penstock.connectors.files.listing import FoundFile, Place
    from penstock.connectors.files.pieces import Budget
    from penstock.connectors.files.text import Compression
    from penstock.types.logical import LogicalType

Layout = Literal["lines", "array", "values"]
_SAMPLED_OBJECTS: Final = 5_000
_KEYS_SHOWN: Final = 5


class NdjsonSourceParams(FileSourceParams):
    """Files with one JSON object per line."""

    encoding: str = Field(default="utf-8", description="Such as utf-8, latin-1, utf-16.")
    compression: Literal["none", "gzip", "zstd"] | None = Field(
        default=None, description="Unsaid, found out from the first bytes of each file."
    )


class JsonSourceParams(NdjsonSourceParams):
    """JSON files."""

    layout: Literal["auto", "lines", "array", "values"] = Field(
        default="auto",
        description="One object per line, one array of objects, or objects one after another, broken into lines anywhere; "
        "auto: found out from the beginning of each file.",
    )


class _Look(Frozen):
    """What is known of one file from its beginning; ``goes_on``: it has lines behind that, and can be read anywhere."""

    file: FoundFile
    layout: Layout
    compression: Compression
    text: str
    goes_on: bool = False


class JsonSource(FileSource):
    """Columns: the keys of the objects; an absent key is null. Types: the schema's, else inferred from samples of
    at most 16 files, widened over them, ``json`` where they do not agree. A nullable column of the schema is always
    there; one that may not be null counts as missing where no object of the sample has it.
    """

    endings = (
        ".json",
        ".ndjson",
        ".jsonl",
        ".json.gz",
        ".ndjson.gz",
        ".jsonl.gz",
        ".json.zst",
        ".ndjson.zst",
        ".jsonl.zst",
    )
    outline = TEXT_OUTLINE

    def __init__(self, params: NdjsonSourceParams, context: Context) -> None:
        super().__init__(params, context)
        self._json = params
        self._layout = params.layout if isinstance(params, JsonSourceParams) else "lines"
        self._encoding = check_encoding(params.encoding)

    def _describe(self, files: Sequence[FoundFile]) -> Schema:
        contract = self._context.contract
        found: dict[str, LogicalType] = {}
        for file in sampled(files):
            for name, kind in self._types_of(self._look(file)).items():
                found[name] = brought_together(found[name], kind, JSON) if name in found else kind
        if contract is None:
            return Schema(tuple(Column(name, kind) for name, kind in found.items()))
        there = [column for column in contract.schema if column.nullable or column.name in found or not found]
        new = [Column(name, kind) for name, kind in found.items() if name not in contract.schema]
        return Schema((*there, *new))

    def _looked_at(self, files: Sequence[FoundFile]) -> Sequence[FoundFile]:
        return sampled(files)

    def _why_nothing_is_inferred(self, files: Sequence[FoundFile]) -> str:
        look = next((look for look in map(self._look, sampled(files)) if look.text.strip()), None)
        if look is None:
            return super()._why_nothing_is_inferred(files)
        if any(True for _ in _objects(look)):
            return f'no object in the first MiB of "{look.file.name}" has a key'
        return f'the first MiB of "{look.file.name}" holds no whole JSON object to infer them from'

    def _files(self, files: Sequence[FoundFile], wanted: Schema) -> Files:
        looks = [self._look(file) for file in files]
        self._check_alike(looks)
        given = readable(
            [(look.file, look.compression) for look in looks], self._encoding, self._context.scratch, strips_mark=True
        )
        layout: Layout = next((look.layout for look in looks if look.text.strip()), "lines")
        form = JsonFormat(layout, given[0].compression)
        self._check_keys(form, {item.path: look.file for item, look in zip(given, looks, strict=True)})
        return Files(
            format=form,
            paths=tuple(item.path for item in given),
            schema=wanted,
            bad_values=self.bad_values,
            union_by_name=True,
            origins={item.path: item.origin for item in given if item.origin is not None},
        )

    def _divide(self, file: FoundFile, start: Place, budget: Budget) -> Place | None:
        look = self._look(file)
        if self._encoding != "utf-8" or look.compression != "none" or look.layout != "lines":
            return super()._divide(file, start, budget)
        return divide_text(file, start, budget, Quoting())

    # ------------------------------------------------------------ looking at a file

    def _look(self, file: FoundFile) -> _Look:
        compression = compression_of(file.path, self._json.compression)
        text, whole = head_of(file.path, compression, encoding=self._encoding)
        layout = _layout_of(text) if self._layout == "auto" else self._layout
        if layout != "lines":
            return _Look(file, layout, compression, text)
        goes_on = not whole and compression == "none" and self._encoding == "utf-8"
        return _Look(file, layout, compression, cut_to_lines(text, whole=whole), goes_on)

    def _check_alike(self, looks: Sequence[_Look]) -> None:
        written = [look for look in looks if look.text.strip()]
        for look in written[1:]:
            if look.layout != written[0].layout:
                raise DataError(
                    "SRC-139",
                    f'the files "{written[0].file.name}" and "{look.file.name}" have different layouts',
                    detail=f"{written[0].layout} and {look.layout}",
                    hint="read them as two sources",
                )

    def _check_keys(self, form: JsonFormat, files: Mapping[str, FoundFile]) -> None:
        """By all objects, where a new key is to fail: a sample misses one that stands elsewhere alone."""
        contract = self._context.contract
        if contract is None or contract.on_new_column != "fail":
            return
        from penstock.connectors.files.json_keys import other_keys

        folders = sorted({Path(path).parent for path in files})
        new = other_keys(form, tuple(files), contract.schema.names, folders=folders, allowance=self._context.allowance)
        if new:
            shown = [
                f'"{key.name}" in {key.objects:,} object{"s" if key.objects > 1 else ""} of "{files[key.path].name}"'
                for key in new[:_KEYS_SHOWN]
            ]
            raise DataError(
                "SRC-148",
                f'"{self.named}" has keys that its schema does not name',
                detail=", ".join(shown) + (", …" if len(new) > len(shown) else ""),
                hint="on_new_column: ignore leaves them out; a column of `schema` takes one",
            )

    def _types_of(self, look: _Look) -> dict[str, LogicalType]:
        """By the engine, over the objects of the sample that are whole."""
        import duckdb

        objects = list(_objects(look))
        keys = dict.fromkeys(key for _, values in objects for key in values)
        if not keys:  # of objects without a key the engine would make one column
            return {}
        # The engine's inference would rename one of two keys that differ only in case.
        check_case(Schema(tuple(Column(key, JSON) for key in keys)), self.named)
        sample = self._context.scratch / "sample.ndjson"
        sample.write_text("".join(f"{text}\n" for text, _ in objects), "utf-8", "replace")
        with closing(open_database(self._context.allowance, folders=[self._context.scratch])) as database:
            try:
                rows = database.execute(_described(sample)).fetchall()
                # Of many keys, or rare ones, the engine makes one column: a map.
                if {str(name) for name, *_ in rows} != keys.keys():
                    rows = database.execute(_described(sample, map_inference_threshold=exp.convert(-1))).fetchall()
            except duckdb.InvalidInputException:  # a value goes deeper than the engine infers
                rows = [(key, "JSON") for key in keys]
        sample.unlink()
        found = {str(row[0]): _kept(str(row[1])) for row in rows}
        return {
            name: _exact([values.get(name) for _, values in objects]) if kind == FLOAT64 else kind
            for name, kind in found.items()
        }


def _described(sample: Path, **options: exp.Expr) -> str:
    """The statement that infers the columns of the sample."""
    read = call(
        "read_json",
        exp.Literal.string(str(sample)),
        format=exp.Literal.string("newline_delimited"),
        ignore_errors=exp.true(),
        sample_size=exp.convert(-1),
        **options,
    )
    return exp.Describe(this=exp.select("*").from_(exp.Table(this=read))).sql(dialect="duckdb")


def _kept(described: str) -> LogicalType:
    """The type that the engine found; json where it has more levels than a type may have."""
    try:
        return from_duckdb(described)
    except ConfigError as error:
        if error.code != "DOC-403":
            raise
        return JSON


def _exact(values: Iterable[object]) -> LogicalType:
    """The type of a key whose values the engine takes for floats: of long whole numbers a float would lose digits."""
    numbers = [value for value in values if value is not None]
    whole = [number for number in numbers if isinstance(number, int)]
    if len(whole) < len(numbers):
        return FLOAT64
    return LONG if all(abs(number) < 10**LONG.precision for number in whole) else STRING


def _layout_of(text: str) -> Layout:
    begun = text.lstrip()
    if begun.startswith("["):
        return "array"
    first = begun.split("\n", 1)[0]
    if first.rstrip() == begun.rstrip():
        return "lines"
    try:
        json.loads(first)
    except ValueError:
        return "values"
    except RecursionError:  # what is nested so deep and goes on over lines is written by nobody
        return "lines"
    return "lines"


def _objects(look: _Look) -> Iterator[tuple[str, dict[str, object]]]:
    """The first objects of the sample, and of lines those behind it, each as one line and with its values; what is none is
    passed over.
    """
    if look.layout == "lines":
        for text in (look.text, lines_behind(look.file.path)) if look.goes_on else (look.text,):
            found = ((line, _values(line)) for line in map(str.strip, text.split("\n")))
            yield from islice(((line, values) for line, values in found if values is not None), _SAMPLED_OBJECTS)
        return
    decoder = json.JSONDecoder()
    at = look.text.find("[") + 1 if look.layout == "array" else 0
    for _ in range(_SAMPLED_OBJECTS):
        at = look.text.find("{", at)
        if at < 0:
            return
        try:
            value, at = decoder.raw_decode(look.text, at)
        except (ValueError, RecursionError):
            return
        yield json.dumps(value), value


def _values(line: str) -> dict[str, object] | None:
    """None where the line is no object."""
    if not line.startswith("{"):
        return None
    try:
        values: dict[str, object] = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values


JSON_NOTES: Final = (
    *NOTES,
    (
        "Without a schema the types are inferred from at most 16 files: from the first MiB of each, and where it is UTF-8 with "
        "one object per line and not compressed, from nine places behind it, of which the last is its end."
    ),
    (
        "New keys are looked for there, too, in at most 5,000 objects of the first MiB: one that stands elsewhere alone is left "
        "out and not told. Under on_new_column: fail every object is looked at, in a read of its own before the rows', and "
        "such a key fails the epoch."
    ),
    "An infinite date or timestamp is a bad value; NaN and Infinity are taken as floats, though JSON has none.",
    "Of a key that stands twice in an object the first value is taken.",
    "A number in a column of type string is text as the engine writes it: 1.10 becomes 1.1, 1e2 becomes 100.0. Amounts are decimals, which keep all their digits.",
    "Under on_bad_value: null a struct, list or map with a bad value in it is null as a whole.",
    "A record is at most 16 MiB; a longer line becomes a reject.",
    "A comma before a closing bracket is taken, though JSON has none there.",
)
NDJSON: Final = Descriptor(
    name="ndjson",
    group="sources",
    summary="Files with one JSON object per line: one, a folder, or a pattern.",
    params=NdjsonSourceParams,
    make=JsonSource,
    example="type: ndjson\npath: data/events-*.ndjson.gz\n",
    capabilities=CAPABILITIES,
    notes=JSON_NOTES,
)
SOURCE: Final = Descriptor(
    name="json",
    group="sources",
    summary="JSON files: objects one per line, in one array, or one after another.",
    params=JsonSourceParams,
    make=JsonSource,
    example="type: json\npath: data/prices.json\n",
    capabilities=CAPABILITIES,
    notes=(*JSON_NOTES, "A document that is cut off or broken fails the epoch: its records cannot be told apart."),
)
