"""Which parts of a query the engine refuses: it names one at a time, and tells of its own text, not of the document's.

What it refuses is taken for null and the rest is bound again, until nothing is refused: so all errors are told at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.engines.api import BindError
from penstock.errors import ConfigError, Problem, nearest
from penstock.types.logical import STRING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from penstock.engines.api import BindKind, Engine
    from penstock.errors import Location
    from penstock.types import Schema

_OPERATIONS: Final = (exp.Func, exp.Binary, exp.Unary, exp.Between, exp.In)
# What may be the part that is meant, by the kind of the refusal.
_SHAPES: Final[Mapping[BindKind, tuple[type[exp.Expr], ...]]] = {
    "column": (exp.Column,),
    "ambiguous": (exp.Column,),
    "function": (exp.Func,),
    "forbidden": (exp.Func,),
    "aggregate": (exp.AggFunc,),
    "window": (exp.Window,),
    "type": _OPERATIONS,
    "comparison": _OPERATIONS,
    "other": _OPERATIONS,
}
# A function inside these is no value of its own.
_CLAUSES: Final = (exp.Window, exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)
# As many as a person mends at once, and as many trials as a person waits for.
_MOST_REFUSALS: Final = 20
_MOST_TRIALS: Final = 200


def refusals(
    query: exp.Query, inputs: Mapping[str, Schema], engine: Engine
) -> Iterator[tuple[BindError, exp.Expr | None]]:
    """Each refusal with the part of the query that it is about, None where no single part is."""
    trial = _Trial(query.copy(), inputs, engine)
    for _ in range(_MOST_REFUSALS):
        error = trial.refusal()
        if error is None:
            return
        parts = trial.parts_of(error)
        if not parts:
            yield error, None
            return
        for part in parts:
            yield error, part
            part.replace(_nothing(part))


class _Trial:
    """A query that is bound again and again with some of its parts taken for null."""

    def __init__(self, query: exp.Query, inputs: Mapping[str, Schema], engine: Engine) -> None:
        self._query = query
        self._inputs = inputs
        self._engine = engine
        self._left = _MOST_TRIALS

    def refusal(self, without: Sequence[exp.Expr] = ()) -> BindError | None:
        """What the engine says of the query, these parts taken for null."""
        self._left -= 1
        nulls = [(part, _nothing(part)) for part in without]
        for part, null in nulls:
            part.replace(null)
        try:
            self._engine.schema_of(self._query, self._inputs)
        except BindError as error:
            return error
        except ConfigError:  # of the columns that it would have: another matter
            return None
        finally:
            for part, null in nulls:
                null.replace(part)
        return None

    def parts_of(self, error: BindError) -> list[exp.Expr]:
        """All parts of the name that the refusal is about, else the innermost one without which it is not uttered.

        Only what was written in the document counts: what a step made of it has no place there.
        """
        shapes = _SHAPES.get(error.kind, ())
        found = [
            part
            for part in self._query.walk()
            if isinstance(part, shapes) and not _is_clause(part) and _is_written(part)
        ]
        if error.subject is not None:
            called = [part for part in found if _name(part) == error.subject.casefold()]
            return [part for part in called if self._is_meant(part, called, error)]
        for part in reversed(found):  # walked from the outside to the inside
            if self._left > 0 and self._settles(part, error):
                return [part]
        return []

    def _is_meant(self, part: exp.Expr, called: Sequence[exp.Expr], error: BindError) -> bool:
        """Whether the refusal is still uttered where the other parts of that name are null."""
        again = self.refusal([other for other in called if other is not part]) if len(called) > 1 else error
        return again is not None and again.kind == error.kind and again.subject == error.subject

    def _settles(self, part: exp.Expr, error: BindError) -> bool:
        again = self.refusal([part])
        return again is None or (again.kind != "syntax" and again.text != error.text)


def _nothing(part: exp.Expr) -> exp.Expr:
    """Null for the part; a column of a query keeps its name, by which others may call it."""
    is_column = isinstance(part.parent, exp.Select) and part.arg_key == "expressions"
    return exp.alias_(exp.null(), part.output_name or "_", quoted=True) if is_column else exp.null()


def _is_clause(part: exp.Expr) -> bool:
    return isinstance(part.parent, _CLAUSES) and part.arg_key == "this"


def _is_written(part: exp.Expr) -> bool:
    """The parser tells where a name or a literal stood."""
    return any("start" in item.meta for item in part.walk())


def _name(part: exp.Expr) -> str:
    if isinstance(part, exp.Func) and not isinstance(part, exp.Anonymous):
        return part.sql_name().casefold()
    return part.name.casefold()


# ---------------------------------------------------------------- in words

_CODES: Final[Mapping[BindKind, str]] = {
    "column": "CMP-203",
    "ambiguous": "CMP-204",
    "function": "CMP-205",
    "type": "CMP-206",
    "comparison": "CMP-242",
    "aggregate": "CMP-208",
    "window": "CMP-241",
    "syntax": "CMP-207",
    "table": "CMP-201",
    "forbidden": "CMP-226",
    "other": "CMP-206",
}
_NO_OVERLOAD: Final = "No function matches"
_UNGROUPED: Final = "must appear in the GROUP BY clause"
_SHOWN_LENGTH: Final = 80
_SHOWN_COLUMNS: Final = 20


def problem_of(
    error: BindError, part: exp.Expr | None, *, at: Location | None, inputs: Mapping[str, Schema]
) -> Problem:
    """The refusal for people; ``part`` is what it is about, where one part is, ``inputs`` go by the document's names."""
    subject = error.subject or "?"
    columns = [name for schema in inputs.values() for name in schema.names]
    near = nearest(subject, error.candidates) or (nearest(subject, columns) if error.kind == "column" else None)
    hint = f'did you mean "{near}"?' if near else None
    match error.kind:
        case "column":
            where = f'in "{next(iter(inputs))}"' if len(inputs) == 1 else "here"
            message = f'column "{subject}" does not exist {where}'
        case "ambiguous":
            message = f'column "{subject}" is ambiguous'
        case "function":
            message = f'there is no function "{subject}"'
        case "table":
            message = f'there is no node "{subject}"'
        case "aggregate" if _UNGROUPED in error.text:
            message = "an aggregate cannot stand beside a value of a single row"
            hint = "group by the value, or aggregate it too"
        case "aggregate":
            message = "an aggregate cannot stand here"
            hint = "use the step `aggregate`, or `window`"
        case "window":
            message = "a window function cannot stand here"
            hint = "use the step `window`"
        case "syntax":
            message = "the SQL cannot be parsed"
        case "forbidden":
            message = f'"{subject}" may not be used in a document'
        case "comparison":
            message = f"{_shown(part) or 'values of these types'} cannot be compared"
            hint = "cast one of them"
        case "type" | "other":
            message = f"{_shown(part) or 'the expression'} cannot be typed"
            hint = (
                "SQL writes `and`: `&&` asks whether two lists overlap"
                if isinstance(part, exp.ArrayOverlaps)
                else _text_hint(error, part, inputs)
            )
    return Problem(_CODES[error.kind], message, at=at, detail=_evidence(error, inputs), hint=hint)


def _text_hint(error: BindError, part: exp.Expr | None, inputs: Mapping[str, Schema]) -> str | None:
    """For a column of texts that was to be something else: as often as not a file whose values made it one."""
    if part is None or "VARCHAR" not in error.text or not error.text.startswith(_NO_OVERLOAD):
        return None
    texts = {item.name.casefold() for schema in inputs.values() for item in schema if item.type == STRING}
    name = next((found.name for found in part.find_all(exp.Column) if found.name.casefold() in texts), None)
    if name is None:
        return None
    return f'"{name}" is text: where it holds something else, give its source a `schema:` that says so, or cast it'


def _evidence(error: BindError, inputs: Mapping[str, Schema]) -> str:
    if error.kind != "column" or not inputs:
        return error.text
    return "; ".join(
        f'"{name}" has the columns {", ".join(schema.names[:_SHOWN_COLUMNS])}' for name, schema in inputs.items()
    )


def _shown(part: exp.Expr | None) -> str | None:
    if part is None:
        return None
    text = part.sql(dialect="duckdb", comments=False)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
