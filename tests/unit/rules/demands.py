"""Rows of a test held to rules: which of them pass, and what is said of the others."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from harness import Ran, compile_document, run_document

from penstock.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness import Columns, Rows


def document(rules: str, columns: Columns) -> str:
    """A pipeline whose transform ``result`` demands these rules (YAML text, a list) of the rows of the source ``rows``."""
    types = json.dumps(dict(columns), ensure_ascii=False)
    head = f"pipeline: test\nsources:\n  rows: {{type: memory, schema: {{columns: {types}}}}}\n"
    listed = textwrap.indent(textwrap.dedent(rules).strip(), " " * 6)
    return f"{head}transforms:\n  result:\n    from: rows\n    rules:\n{listed}\n"


def held(rules: str, columns: Columns, rows: Rows) -> Ran:
    return run_document(document(rules, columns), {"rows": rows})


def passing(rule: str, kind: str, values: Sequence[Any]) -> list[Any]:
    """The values, of a column ``a`` of this type that may be null, that pass the rule."""
    ran = held(f"- {rule}", {"a": f"{kind}?"}, [{"a": value} for value in values])
    return [row["a"] for row in ran.rows]


def wrong(rules: str, columns: Mapping[str, str]) -> list[Problem]:
    """Everything that is wrong with the rules; empty where they compile."""
    try:
        compile_document(document(rules, columns))
    except ConfigError as error:
        return list(error.problems)
    return []
