"""How long and how large one request may get."""

from __future__ import annotations

from typing import Final

from penstock.structs import Frozen

MAX_HEADER_BYTES: Final = 64 * 1024


class Limits(Frozen):
    """Bounds of one attempt, redirects included. ``idle_seconds``: without a byte in either direction, whole seconds.

    ``max_response_bytes`` counts the body after decompression.
    """

    connect_seconds: float = 10.0
    idle_seconds: int = 60
    total_seconds: float = 300.0
    max_response_bytes: int = 64 * 1024 * 1024
    max_header_bytes: int = MAX_HEADER_BYTES
    max_redirects: int = 5
