"""Casts Arrow data from the many forms in which it arrives to the one form of its logical type.

Whole columns at a time; a column that has its form already is passed on without a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import ConfigError, DataError
from penstock.structs import replace
from penstock.types.arrow import to_arrow, type_from_arrow
from penstock.types.compatibility import can_hold
from penstock.types.logical import JSON, STRING, UUID, Decimal, List, Map, Primitive, Struct, relaxed, spell

if TYPE_CHECKING:
    from penstock.types.logical import LogicalType
    from penstock.types.schema import Field, Schema

_NANOSECONDS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_UUID_TEXT: Final = r"^(?:[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"
_UUID_DIGITS: Final = 32


def conform(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """The columns of ``schema``, by name and in its order, each in the form that ``to_arrow`` gives; others are left out.

    Values keep their meaning: wider types are welcome, text is taken as it is for ``json`` (its syntax is not checked)
    and parsed for a top-level ``uuid``, nothing else is parsed, rounded or cut.
    Raises ConfigError: DOC-411 a column is missing, DOC-406 its Arrow type can never be the wanted one. Raises DataError:
    DOC-413 a value does not fit (digits below a microsecond, text that is no uuid), DOC-414 a null where none may be.
    """
    form = to_arrow(schema)
    places = {name: place for place, name in enumerate(batch.schema.names)}
    columns = [_column(batch, places, field) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=form) if columns else _columnless(batch.num_rows)


def _column(batch: pa.RecordBatch, places: dict[str, int], field: Field) -> pa.Array:
    place = places.get(field.name)
    if place is None:
        raise ConfigError("DOC-411", f'the column "{field.name}" is missing', detail=f"there are {_shown(places)}")
    array = conform_array(batch.column(place), field.type, name=field.name)
    if array.null_count and not field.nullable:
        raise _null(field.name, field.spelling)
    return array


def _null(name: str, spelling: str) -> DataError:
    return DataError("DOC-414", f'the column "{name}" holds null where none may be', detail=f"its type is {spelling}")


def _has_forbidden_null(array: pa.Array, logical: LogicalType, *, nullable: bool, excused: int = 0) -> bool:
    """Arrow's own casts look into structs only, and its constructors nowhere. ``excused`` nulls come from a null above."""
    if array.null_count > excused and not nullable:
        return True
    if relaxed(logical) == logical:
        return False
    match logical:
        case List():  # flattening leaves out what lies below a null
            return _has_forbidden_null(array.flatten(), logical.element, nullable=logical.element_nullable)
        case Map():
            present = array.drop_null() if array.null_count else array
            start, end = present.offsets[0].as_py(), present.offsets[-1].as_py()
            keys, values = (part.slice(start, end - start) for part in (present.keys, present.items))
            return _has_forbidden_null(keys, logical.key, nullable=False) or _has_forbidden_null(
                values, logical.value, nullable=logical.value_nullable
            )
        case Struct():  # flattening makes every member null where the struct is
            return any(
                _has_forbidden_null(part, field.type, nullable=field.nullable, excused=array.null_count)
                for part, field in zip(array.flatten(), logical.fields, strict=True)
            )
        case Primitive() | Decimal():
            return False
        case _:
            assert_never(logical)


def conform_array(array: pa.Array, wanted: LogicalType, *, name: str) -> pa.Array:
    """One column; ``name`` is for messages. Errors as ``conform``, but for nulls, which are let through at the top.

    Arrow's casts look below a null for nulls that are not there, so the cast goes to the type whose places all may be
    null, and only then are the places marked.
    """
    form, loose = to_arrow(wanted), to_arrow(relaxed(wanted))
    array = _cast_to(array, wanted, form=form if _has_form(array, form) else loose, name=name)
    if _has_forbidden_null(array, wanted, nullable=True):
        raise _null(name, spell(wanted, nullable=True))
    return array if _has_form(array, form) else _marked(array, form)


def _has_form(array: pa.Array, form: pa.DataType) -> bool:
    return bool(array.type.equals(form, check_metadata=False)) and not _named_otherwise(array.type, form)


def _cast_to(array: pa.Array, wanted: LogicalType, *, form: pa.DataType, name: str) -> pa.Array:
    if _has_form(array, form):
        return array
    plain = _decoded(array)
    try:
        return _cast(plain, wanted, form=form, name=name)
    except pa.ArrowNotImplementedError:
        raise _impossible(array.type, wanted, name) from None
    except pa.ArrowInvalid as error:
        raise DataError(
            "DOC-413",
            f'a value of the column "{name}" does not fit the type {wanted}',
            detail=f"the values come as {array.type}; {_reason(error)}",
        ) from None


def _cast(array: pa.Array, wanted: LogicalType, *, form: pa.DataType, name: str) -> pa.Array:
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), form)
    given = type_from_arrow(array.type)
    if wanted == UUID and given == STRING:
        return _uuids(array)
    if not can_hold(relaxed(_json_as_text(wanted)), given):  # Arrow and its engines hand JSON around as text
        raise _impossible(array.type, wanted, name)
    if pa.types.is_duration(array.type):
        return _intervals(array)
    return array.cast(form)


def _json_as_text(kind: LogicalType) -> LogicalType:
    match kind:
        case List(element, nullable):
            return List(_json_as_text(element), nullable)
        case Map(key, value, nullable):
            return Map(key, _json_as_text(value), nullable)
        case Struct(fields):
            return Struct(tuple(replace(field, type=_json_as_text(field.type)) for field in fields))
        case _:
            return STRING if kind == JSON else kind


def _marked(array: pa.Array, form: pa.DataType) -> pa.Array:
    """The same values in a type that differs in what may be null only. A null is masked: what lies below it stays."""
    types = pa.types
    if types.is_struct(form):
        fields = list(form)
        parts = [_marked(array.field(place), field.type) for place, field in enumerate(fields)]
        return pa.StructArray.from_arrays(parts, fields=fields, mask=array.is_null())
    if not (types.is_list(form) or types.is_map(form)):
        return array
    offsets = pc.add(array.offsets, 0)  # a copy without an offset of its own, as a mask asks for
    if types.is_map(form):
        keys, items = _marked(array.keys, form.key_type), _marked(array.items, form.item_type)
        return pa.MapArray.from_arrays(offsets, keys, items, type=form, mask=array.is_null())
    return pa.ListArray.from_arrays(offsets, _marked(array.values, form.value_type), type=form, mask=array.is_null())


def _impossible(given: pa.DataType, wanted: LogicalType, name: str) -> ConfigError:
    return ConfigError(
        "DOC-406",
        f'the column "{name}" has the Arrow type {given}, which cannot become {wanted}',
        hint="cast it where the data comes from, or state another type",
    )


def _decoded(array: pa.Array) -> pa.Array:
    """Without the encodings that pyarrow's casts do not look through."""
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _named_otherwise(one: pa.DataType, other: pa.DataType) -> bool:
    """Arrow takes lists for equal whatever their elements are called; readers of files do not."""
    return str(one) != str(other)


def _uuids(array: pa.Array) -> pa.Array:
    """Text in the two usual spellings as 16 bytes each: the hexadecimal digits of the whole column are decoded at once."""
    text = array.cast(pa.string())
    if pc.any(pc.invert(pc.match_substring_regex(text, _UUID_TEXT))).as_py():
        raise pa.ArrowInvalid("text that is no uuid")
    digits = pc.fill_null(pc.replace_substring(text, "-", ""), "0" * _UUID_DIGITS)
    joined = pc.binary_join(pa.ListArray.from_arrays([0, len(digits)], digits), "")[0].as_py()
    storage = pa.Array.from_buffers(pa.binary(16), len(text), [None, pa.py_buffer(bytes.fromhex(joined))])
    masked = pc.if_else(text.is_valid(), storage, pa.scalar(None, pa.binary(16)))
    return pa.ExtensionArray.from_storage(pa.uuid(), masked)


def _intervals(array: pa.Array) -> pa.Array:
    """Durations as intervals of no months, no days and these nanoseconds, laid out 4, 4 and 8 bytes wide."""
    counts = pc.multiply_checked(array.cast(pa.int64()), _NANOSECONDS[array.type.unit])
    nanoseconds = counts.view(pa.binary(8)).cast(pa.binary())
    laid_out = pc.binary_join_element_wise(pa.scalar(bytes(8)), nanoseconds, pa.scalar(b""))
    return laid_out.cast(pa.binary(16)).view(pa.month_day_nano_interval())


def _columnless(rows: int) -> pa.RecordBatch:
    """No columns, but still that many rows."""
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))


def _reason(error: pa.ArrowException) -> str:
    """What Arrow says up to the first value: values may be sensitive."""
    return str(error).split(":", 1)[0].split("\n", 1)[0][:200]


def _shown(names: dict[str, int]) -> str:
    return ", ".join(list(names)[:20]) or "no columns at all"
