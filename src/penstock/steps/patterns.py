"""Regular expressions that stand in a document, checked before a row is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.steps.api import Scope


def check_pattern(scope: Scope, pattern: str) -> None:
    """Raises ConfigError CMP-247 for what RE2 does not take: Arrow has the same RE2 as the engine, and needs no rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.scalar(""), pattern)
    except pa.ArrowInvalid as error:
        words = str(error).split(":", 1)[-1].strip().splitlines()[0]
        scope.fail(
            "CMP-247",
            f'"{pattern[:60]}" is no regular expression',
            at=pattern,
            detail=f"{words[:200]}.",
            hint="the syntax is RE2's, which has neither look-ahead nor back references",
        )
