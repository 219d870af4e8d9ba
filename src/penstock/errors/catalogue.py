"""Every error code, once: its class and what it means. The reference page and ``penstock errors`` print this table.

Areas: DOC document, CMP compile, PLN plan, ENG engine, SRC source, SNK sink, NET outgoing requests, LED ledger,
RUN run, CLI command line, INT our own bugs. A code keeps its meaning forever; a retired code is never used again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ErrorClass = Literal["ConfigError", "DataError", "TransientError", "FatalError", "InternalError"]


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """``title`` names the situation in a few words; ``text`` says what happened and what to do, for the docs."""

    code: str
    error_class: ErrorClass
    title: str
    text: str


_ROWS: tuple[tuple[str, ErrorClass, str, str], ...] = (
    # -- DOC: reading documents
    ("DOC-100", "ConfigError", "file cannot be read", "The document does not exist or may not be read."),
    # -- INT: our own bugs
    ("INT-900", "InternalError", "invariant broken", "Penstock found itself in a state that its own rules exclude."),
)

CATALOGUE: dict[str, ErrorCode] = {row[0]: ErrorCode(*row) for row in _ROWS}


def class_of(code: str) -> ErrorClass:
    """The recovery class of a code; an unknown code is our own bug and says so."""
    known = CATALOGUE.get(code)
    return known.error_class if known else "InternalError"
