"""Rules that would have held in all runs, as a patch to the document and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.cli.render.profile import advice_json, rules_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.service.suggesting import Suggested


def patch(found: Sequence[Suggested]) -> str:
    """YAML to be merged into the document."""
    some = [one for one in found if one.advice]
    if not some:
        runs, rows = max((one.runs for one in found), default=0), sum(one.rows for one in found)
        return f"# {rows:,} rows of {runs:,} runs suggest no rule that is not there yet\n"
    lines = ["# true of what all runs wrote; widen what may grow", "sinks:"]
    for one in some:
        lines += [f"  # {one.rows:,} rows of {one.runs:,} runs", *rules_of(one.sink, one.advice)]
    return "\n".join([*lines, ""])


def to_json(found: Sequence[Suggested]) -> dict[str, Any]:
    return {
        "sinks": {one.sink: {"runs": one.runs, "rows": one.rows, "advice": advice_json(one.advice)} for one in found}
    }
