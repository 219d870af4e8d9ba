"""Columns in order: the schema of a source, a node or a sink."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TypedDict

from penstock.errors import ConfigError, Location, nearest
from penstock.structs import Frozen, replace
from penstock.types.logical import LogicalType, check_name, first_repeated, fold_case, relaxed, spell
from penstock.types.parse import parse_type


class ColumnJson(TypedDict):
    """A column as ``plan --json`` prints it and the ledger keeps it; ``type`` is the document's spelling without ``?``."""

    name: str
    type: str
    nullable: bool
    labels: list[str]


class Field(Frozen):
    """One column. ``labels`` name what is sensitive about it. Raises ConfigError DOC-404 for an impossible name."""

    name: str
    type: LogicalType
    nullable: bool = True
    labels: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_name(self.name, of="a column")

    def __str__(self) -> str:
        return f"{self.name}: {self.spelling}"

    @property
    def spelling(self) -> str:
        """The type as a contract writes it: ``decimal(12,4)?``."""
        return spell(self.type, nullable=self.nullable)

    def to_json(self) -> ColumnJson:
        return {"name": self.name, "type": str(self.type), "nullable": self.nullable, "labels": sorted(self.labels)}


class Schema(Frozen, dict=True):
    """Columns in order, names unique by exact comparison (``id`` and ``ID`` are two columns, see ``case_collisions``).

    Raises ConfigError DOC-410 where a name repeats.
    """

    fields: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        repeated = first_repeated(field.name for field in self.fields)
        if repeated is not None:
            raise ConfigError("DOC-410", f'there are two columns named "{repeated}"')

    @classmethod
    def of(cls, columns: Mapping[str, str] | Iterable[tuple[str, str]], *, at: Location | None = None) -> Schema:
        """From name and spelling, as contracts are written: ``Schema.of({"id": "int64", "note": "string?"})``.

        Errors as :func:`penstock.types.parse_type`.
        """
        pairs = columns.items() if isinstance(columns, Mapping) else columns
        return cls(tuple(Field(name, *parse_type(text, at=at)) for name, text in pairs))

    # ------------------------------------------------------------ looking

    @cached_property
    def _places(self) -> dict[str, int]:
        return {field.name: place for place, field in enumerate(self.fields)}

    def __len__(self) -> int:
        return len(self.fields)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> Field:
        """The column of exactly this name. Raises ConfigError DOC-411, with the nearest right name."""
        return self.fields[self.index(name)]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    def get(self, name: str) -> Field | None:
        """The column of exactly this name, or None."""
        place = self._places.get(name)
        return None if place is None else self.fields[place]

    def index(self, name: str, *, at: Location | None = None) -> int:
        """The 0-based place of a column. Raises ConfigError DOC-411, with the nearest right name."""
        place = self._places.get(name)
        if place is None:
            near = nearest(name, self.names)
            shown = ", ".join(self.names[:20]) + (", ..." if self.names[20:] else "")
            raise ConfigError(
                "DOC-411",
                f'there is no column "{name}"',
                at=at,
                detail=f"the columns are {shown}" if self.fields else "there are no columns at all",
                hint=f'did you mean "{near}"?' if near else None,
            )
        return place

    def case_collisions(self) -> tuple[tuple[str, str], ...]:
        """Pairs of names that differ in the case of ASCII letters only: DuckDB and SQLite take them for one name."""
        first: dict[str, str] = {}
        pairs = ((first.setdefault(fold_case(name), name), name) for name in self.names)
        return tuple((one, other) for one, other in pairs if one != other)

    # ------------------------------------------------------------ deriving

    def select(self, names: Sequence[str]) -> Schema:
        """These columns in this order. Raises ConfigError DOC-411 for a name that is not there, DOC-410 for one twice."""
        return Schema(tuple(self[name] for name in names))

    def without(self, names: Iterable[str]) -> Schema:
        """All columns but these. Raises ConfigError DOC-411 for a name that is not there."""
        left_out = {self[name].name for name in names}
        return Schema(tuple(field for field in self.fields if field.name not in left_out))

    def with_fields(self, fields: Iterable[Field]) -> Schema:
        """Columns of the same name are replaced where they stand, new ones follow at the end."""
        changed = {field.name: field for field in fields}
        kept = tuple(changed.pop(field.name, field) for field in self.fields)
        return Schema((*kept, *changed.values()))

    def rename(self, new_by_old: Mapping[str, str]) -> Schema:
        """New names at the same places. Raises ConfigError DOC-411 for an old name that is not there, DOC-410 where two
        columns would have one name.
        """
        for old in new_by_old:
            self.index(old)
        return Schema(tuple(replace(field, name=new_by_old.get(field.name, field.name)) for field in self.fields))

    def with_labels(self, labels: Mapping[str, Iterable[str]]) -> Schema:
        """Labels added to those that stand there. Raises ConfigError DOC-411 for a name that is not there."""
        added = {self[name].name: frozenset(new) for name, new in labels.items()}
        return Schema(
            tuple(replace(field, labels=field.labels | added.get(field.name, frozenset())) for field in self.fields)
        )

    def relaxed(self) -> Schema:
        """Every column and every nested place nullable, labels kept."""
        return Schema(tuple(replace(field, type=relaxed(field.type), nullable=True) for field in self.fields))

    # ------------------------------------------------------------ JSON

    def to_json(self) -> list[ColumnJson]:
        """One object per column, in order."""
        return [field.to_json() for field in self.fields]

    @classmethod
    def from_json(cls, columns: object) -> Schema:
        """The inverse of ``to_json``. Raises ConfigError DOC-412 for anything that ``to_json`` cannot have given."""
        if not isinstance(columns, list):
            raise ConfigError("DOC-412", "a schema in JSON is a list of columns")
        return cls(tuple(_field_of(column) for column in columns))


def _field_of(column: object) -> Field:
    match column:
        case {
            "name": str() as name,
            "type": str() as text,
            "nullable": bool() as nullable,
            "labels": list() as labels,
            **rest,
        }:
            logical, marked = parse_type(text)
            if not (marked or rest) and all(isinstance(label, str) for label in labels):
                return Field(name, logical, nullable, frozenset(labels))
    raise ConfigError(
        "DOC-412", "a column in JSON has exactly name, type, nullable and labels", detail=f"found {str(column)[:200]!r}"
    )
