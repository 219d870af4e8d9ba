"""Rows of a test held to rules: which of them pass, and what is said of the others."""

from __future__ import annotations

import json
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from harness import Ran, compile_document, run_document

from penstock.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness import Columns, Rows

NOW: Final = datetime(2024, 3, 1, 12, tzinfo=UTC)


def document(rules: str, columns: Columns, others: Columns | None = None) -> str:
    """A pipeline whose transform ``result`` demands these rules (YAML text, a list) of the rows of the source ``rows``;
    ``others`` are the columns of the source ``more``.
    """
    types = json.dumps(dict(columns), ensure_ascii=False)
    head = f"pipeline: test\nsources:\n  rows: {{type: memory, schema: {{columns: {types}}}}}\n"
    if others is not None:
        types = json.dumps(dict(others), ensure_ascii=False)
        head += f"  more: {{type: memory, schema: {{columns: {types}}}}}\n"
    listed = textwrap.indent(textwrap.dedent(rules).strip(), " " * 6)
    return f"{head}transforms:\n  result:\n    from: rows\n    rules:\n{listed}\n"


def held(rules: str, columns: Columns, rows: Rows) -> Ran:
    return run_document(document(rules, columns), {"rows": rows})


def judged(
    rule: str, columns: Columns, rows: Rows, others: Columns | None = None, more: Rows = ()
) -> tuple[dict[str, Any], str | None]:
    """What a rule about all rows measures, and what is said where they violate it. Every row passes."""
    data = {"rows": rows, "more": more} if others is not None else {"rows": rows}
    ran = run_document(document(f"- {rule}", columns, others), data, moment=NOW)
    (found,) = ran.judged.values()
    assert (len(ran.rows), ran.schema.names) == (len(rows), tuple(columns))
    return found["measures"], found["message"] if found["violated"] else None


def passing(rule: str, kind: str, values: Sequence[Any]) -> list[Any]:
    """The values, of a column ``a`` of this type that may be null, that pass the rule."""
    ran = held(f"- {rule}", {"a": f"{kind}?"}, [{"a": value} for value in values])
    return [row["a"] for row in ran.rows]


def wrong(rules: str, columns: Mapping[str, str], others: Mapping[str, str] | None = None) -> list[Problem]:
    """Everything that is wrong with the rules; empty where they compile."""
    try:
        compile_document(document(rules, columns, others))
    except ConfigError as error:
        return list(error.problems)
    return []
