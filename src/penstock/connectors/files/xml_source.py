"""XML files: one element per record, its attributes and children as columns.

A file is read once, as a stream, into a private copy with one JSON object per record, which the engine's JSON reader
then types, checks and rejects like any other. There is no reader of XML into columns that both streams and refuses
entities, so records pass through Python here.
"""

from __future__ import annotations

import json
import re
import tempfile
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

from pydantic import AfterValidator, Field

from penstock.connectors.api import Files, JsonFormat, Origin
from penstock.connectors.files.file_source import CAPABILITIES, FileSource, FileSourceParams, sampled
from penstock.errors import ConfigError, DataError
from penstock.registry import Descriptor
from penstock.types import BINARY, JSON, STRING, Schema
from penstock.types import Field as Column
from penstock.types.logical import List, Map, Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lxml import etree

    from penstock.connectors.api import Context
    from penstock.connectors.files.listing import FoundFile
    from penstock.types.logical import LogicalType

_SAMPLED_RECORDS: Final = 5_000
_STEP: Final = re.compile(r"[^\W\d][\w.\-]*")
_XSI_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_WHITE_SPACE: Final = " \t\r\n"  # XML's own: a no-break space is a character like any other
_TEXT: Final = "#text"
_TEXTS: Final = frozenset({STRING, JSON, BINARY})  # of which the empty text is a value

Record = dict[str, Any]


def _row_path(value: str) -> str:
    steps = value.split("/")
    if steps[0] or len(steps) < 2 or not all(_STEP.fullmatch(step) for step in steps[1:]):  # noqa: PLR2004 -- "/" and one name
        raise ValueError("takes the path of the records' elements, such as /prices/price")
    return value


class XmlSourceParams(FileSourceParams):
    """XML files with one element per record."""

    rows: Annotated[str, AfterValidator(_row_path)] = Field(
        description="The path of the element that is a record, from the root, without namespaces: /Basket/BasketList."
    )
    attribute_prefix: str = Field(
        default="", max_length=10, description="What stands before the names of columns that were attributes."
    )


class XmlSource(FileSource):
    """Columns: a record's attributes, then its child elements, then ``#text`` where it has text of its own; a child without
    children of its own is its text, another one is ``json``, and so is one that stands several times. Names are local
    names. Types: the schema's, else string.
    """

    endings = (".xml",)

    def __init__(self, params: XmlSourceParams, context: Context) -> None:
        super().__init__(params, context)
        self._xml = params

    def _describe(self, files: Sequence[FoundFile]) -> Schema:
        """Raises DataError SRC-190, SRC-191, SRC-192; ConfigError SRC-134, SRC-193."""
        contract = self._context.contract
        found: dict[str, LogicalType] = {}
        for file in sampled(files):
            for record, _ in zip(self._records(file), range(_SAMPLED_RECORDS), strict=False):
                for name, value in record.items():
                    found[name] = JSON if not isinstance(value, str | None) else found.get(name, STRING)
        if contract is None and not found:
            raise ConfigError(
                "SRC-134",
                f'no column of "{self.named}" is known: no element is at {self._xml.rows}',
                hint="correct `rows`; or, where the files have no record yet, state the columns under `schema`",
                about=("rows",),
            )
        if contract is None:
            return Schema(tuple(Column(name, kind) for name, kind in found.items()))
        there = [column for column in contract.schema if column.nullable or column.name in found or not found]
        new = [Column(name, kind) for name, kind in found.items() if name not in contract.schema]
        return Schema((*there, *new))

    def _files(self, files: Sequence[FoundFile], wanted: Schema) -> Files:
        paths = {self._copy(file, wanted): Origin(file.shown) for file in files}
        return Files(
            format=JsonFormat("lines"),
            paths=tuple(paths),
            schema=wanted,
            bad_values=self.bad_values,
            union_by_name=True,
            origins=paths,
        )

    def _copy(self, file: FoundFile, wanted: Schema) -> str:
        """The file's records, one JSON object per line, in the private scratch folder."""
        typed = [column for column in wanted if column.type not in _TEXTS]
        with tempfile.NamedTemporaryFile(
            "w", dir=self._context.scratch, suffix=".ndjson", encoding="utf-8", delete=False
        ) as copy:
            for record in self._records(file):
                for column in typed:
                    if column.name in record:
                        record[column.name] = _without_empty(record[column.name], column.type)
                copy.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
                copy.write("\n")
        return copy.name

    # ------------------------------------------------------------ reading

    def _records(self, file: FoundFile) -> Iterator[Record]:
        """Every record of the file, whole elements only, freed as soon as it is taken."""
        from lxml import etree

        steps = self._xml.rows.split("/")[1:]
        path: list[str] = []
        try:
            with file.path.open("rb") as stream:
                for event, element in _events(stream):
                    if event == "start":
                        if not path:
                            self._refuse_doctype(element, file)
                            self._check_root(_local(element.tag), steps[0], file)
                        path.append(_local(element.tag))
                        continue
                    if path == steps:
                        yield self._record(element, file)
                    if path[: len(steps)] != steps or path == steps:  # what lies within a record is still needed
                        _forget(element)
                    path.pop()
        except etree.XMLSyntaxError as error:
            raise DataError(
                "SRC-190",
                f'"{file.name}" is no well-formed XML',
                detail=f"line {error.lineno}: {str(error.msg)[:200]}",
                hint="nothing of the file was taken: where it breaks off its records cannot be told apart",
            ) from None

    def _refuse_doctype(self, root: etree._Element, file: FoundFile) -> None:
        information = root.getroottree().docinfo
        if information.internalDTD is not None:
            raise DataError(
                "SRC-191",
                f'"{file.name}" has a document type declaration',
                detail="such a declaration can make a small file grow without bound, or read other files.",
                hint="take the DOCTYPE out of the file",
            )

    def _check_root(self, found: str, asked: str, file: FoundFile) -> None:
        """A file without records has the root that `rows` names; one with another root would be left out in silence."""
        if found == asked:
            return
        raise ConfigError(
            "SRC-193",
            f'the root of "{file.name}" is "{found}", and `rows` begins with "{asked}"',
            hint=f"write `rows` from the root on, such as /{found}/record",
            about=("rows",),
        )

    def _record(self, element: etree._Element, file: FoundFile) -> Record:
        record = _attributes(element, self._xml.attribute_prefix)
        attributes = set(record)
        for child in element:
            name = _local(child.tag)
            if name in attributes:
                raise DataError(
                    "SRC-192",
                    f'a record of "{file.name}" has both an attribute and an element "{name}"',
                    hint='tell them apart with attribute_prefix: "@"',
                )
            _add(record, name, _value(child))
        _add_text(record, element)
        return record


def _events(stream: BinaryIO) -> Iterator[tuple[str, etree._Element]]:
    from lxml import etree

    return iter(
        etree.iterparse(
            stream,
            events=("start", "end"),
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
    )


def _local(name: object) -> str:
    """A tag or attribute without its namespace."""
    return str(name).rpartition("}")[2]


def _value(element: etree._Element) -> Any:
    """Text of a leaf (null where xsi:nil says so), else a map of attributes, children and ``#text`` where there is text."""
    if element.get(_XSI_NIL) in {"true", "1"}:
        return None
    value = _attributes(element)
    if not len(element) and not value:
        return _text(element)
    for child in element:
        _add(value, _local(child.tag), _value(child))
    _add_text(value, element)
    return value


def _attributes(element: etree._Element, prefix: str = "") -> Record:
    """By local name, all but xsi:nil."""
    record: Record = {}
    for name, value in element.attrib.items():
        if name != _XSI_NIL:
            _add(record, f"{prefix}{_local(name)}", str(value))
    return record


def _text(element: etree._Element) -> str:
    """What stands in the element outside its children, without white space around each piece."""
    pieces = (str(piece or "").strip(_WHITE_SPACE) for piece in (element.text, *(child.tail for child in element)))
    return " ".join(piece for piece in pieces if piece)


def _add_text(record: Record, element: etree._Element) -> None:
    text = _text(element)
    if text:
        record[_TEXT] = text


def _add(record: Record, name: str, value: Any) -> None:
    """What stands several times is a list."""
    if name not in record:
        record[name] = value
    elif isinstance(record[name], list):
        record[name].append(value)
    else:
        record[name] = [record[name], value]


def _without_empty(value: Any, kind: LogicalType) -> Any:
    """Null for the empty text where the type has no such value, at any depth."""
    match kind, value:
        case _, "":
            return value if kind in _TEXTS else None
        case List(element=inner), list():
            return [_without_empty(item, inner) for item in value]
        case Map(value=inner), dict():
            return {name: _without_empty(item, inner) for name, item in value.items()}
        case Struct(fields=fields), dict():
            known = {field.name: field.type for field in fields}
            return {name: _without_empty(item, known.get(name, STRING)) for name, item in value.items()}
        case _:
            return value


def _forget(element: etree._Element) -> None:
    """Frees the element and what stood before it: a stream keeps nothing of what it has passed."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


SOURCE: Final = Descriptor(
    name="xml",
    group="sources",
    summary="XML files with one element per record: one, a folder, or a pattern.",
    params=XmlSourceParams,
    make=XmlSource,
    example="type: xml\npath: data/prices.xml\nrows: /prices/price\n",
    capabilities=CAPABILITIES,
    extra="xml",
    notes=(
        "A document type declaration is refused: entities could make a small file grow without bound.",
        "Without a schema every column is a string, or json where an element has children or stands several times.",
        "An empty element or attribute is null, as an empty field of CSV is; of string, json and binary it is an empty text.",
        "Text of a record's own, outside its elements, is the column `#text`; white space around a text goes.",
        "A file that is not well-formed fails the epoch: its records cannot be told apart.",
    ),
)
