"""Rules that would have held in all runs, as a patch to the document and as JSON."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from penstock.cli.render.profile import advice_json, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.service.advising import Advice
    from penstock.service.suggesting import Suggested

_OF_ROWS: Final = frozenset({"unique", "in_set", "pattern"})  # of which runs leave nothing in the ledger


def patch(found: Sequence[Suggested]) -> str:
    """YAML to be merged into the document."""
    some = [one for one in found if one.advice]
    if not some:
        return "".join(
            f"# {line}\n" for line in (f"{_rows(found)} suggest no rule that is not there yet", *_unread(found))
        )
    is_read = any(one.now is not None for one in found)
    what = "what all runs wrote, and of what the tables hold now" if is_read else "what all runs wrote"
    lines = [f"# true of {what}; widen what may grow", *(f"# {line}" for line in _unread(found)), "sinks:"]
    for one in some:
        lines += [f"  # {_rows([one])}", *rules_of(one.sink, one.advice, partial(_of_rows, one))]
    return "\n".join([*lines, ""])


def _rows(found: Sequence[Suggested]) -> str:
    runs = f"{sum(one.rows for one in found):,} rows of {max((one.runs for one in found), default=0):,} runs"
    read = [one.now for one in found if one.now is not None]
    if not read:
        return runs
    now = f"all {sum(read):,} rows of {'its table' if len(found) == 1 else 'the tables'} now"
    return f"{now}, and {runs}" if any(one.runs for one in found) else now


def _unread(found: Sequence[Suggested]) -> Iterator[str]:
    for one in found:
        if one.unread is not None:
            yield f"{one.sink} by its runs alone: {one.unread}"


def _of_rows(one: Suggested, item: Advice) -> str:
    return f"in all {one.now:,} rows of the table now" if one.now is not None and item.rule in _OF_ROWS else ""


def to_json(found: Sequence[Suggested]) -> dict[str, Any]:
    """``table``: what was read of it; null where nobody asked for it."""
    return {
        "sinks": {
            one.sink: {"runs": one.runs, "rows": one.rows, "table": _table_json(one), "advice": advice_json(one.advice)}
            for one in found
        }
    }


def _table_json(one: Suggested) -> dict[str, Any] | None:
    if one.now is None and one.unread is None:
        return None
    return {"rows": one.now, "unread": one.unread}
