"""Every error code, once: its class and what it means. The table itself is ``catalogue.toml``.

Areas: DOC document, CMP compile, ENG engine, SRC source, SNK sink, NET outgoing requests, LED ledger, RUN run,
FLT faults that were asked for, CLI command line, INT our own bugs. The reference page and ``penstock errors`` print it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Literal

from penstock.structs import Frozen

ErrorClass = Literal["ConfigError", "DataError", "TransientError", "FatalError", "InternalError"]


class ErrorCode(Frozen):
    """``title`` names the situation in a few words; ``text`` says what happened and what to do, for the docs."""

    code: str
    error_class: ErrorClass
    title: str
    text: str


@cache
def _table() -> Mapping[str, ErrorCode]:
    text = resources.files("penstock.errors").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return {code: ErrorCode(code, *row) for code, row in sorted(tomllib.loads(text).items())}


class _Catalogue(Mapping[str, ErrorCode]):
    """By code; read when it is first asked."""

    def __getitem__(self, code: str) -> ErrorCode:
        return _table()[code]

    def __iter__(self) -> Iterator[str]:
        return iter(_table())

    def __len__(self) -> int:
        return len(_table())


CATALOGUE: Mapping[str, ErrorCode] = _Catalogue()


def class_of(code: str) -> ErrorClass:
    """The recovery class of a code; an unknown code is our own bug and says so."""
    known = CATALOGUE.get(code)
    return known.error_class if known else "InternalError"
