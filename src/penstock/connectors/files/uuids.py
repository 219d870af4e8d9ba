"""UUIDs for the formats that keep them as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS: Final = 32


def uuid_texts(array: pa.Array) -> pa.Array:
    """Of a column without an offset; in the usual spelling, small letters."""
    import pyarrow as pa
    import pyarrow.compute as pc

    content = array.storage.buffers()[1]
    digits = (content.to_pybytes() if content else b"").hex()[: len(array) * _DIGITS].encode()
    fixed = pa.Array.from_buffers(pa.binary(_DIGITS), len(array), [None, pa.py_buffer(digits)])
    text = fixed.cast(pa.binary()).cast(pa.string())
    dashed = pc.replace_substring_regex(text, r"^(.{8})(.{4})(.{4})(.{4})(.{12})$", r"\1-\2-\3-\4-\5")
    return pc.if_else(array.is_valid(), dashed, pa.scalar(None, pa.string()))
