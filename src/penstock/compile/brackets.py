"""Brackets that stay open: SQLGlot 30 takes the end of the text for that of a CAST, TRIM, SUBSTRING or EXTRACT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot.tokenizer_core import TokenType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlglot.tokenizer_core import Token

_OPENING: Final = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})


def unclosed(tokens: Iterable[Token]) -> int | None:
    """Where the last bracket stands that nothing closes; None where each is closed."""
    open_at: list[int] = []
    for token in tokens:
        if token.token_type in _OPENING:
            open_at.append(token.start)
        elif token.token_type in _CLOSING and open_at:
            open_at.pop()
    return open_at[-1] if open_at else None
