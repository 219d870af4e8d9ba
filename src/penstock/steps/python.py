"""Hands the rows to a function of the project's own, as Arrow batches."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, model_validator

from penstock.errors import ConfigError
from penstock.fields import ByteSize, Name
from penstock.graph.nodes import Python
from penstock.registry import Descriptor
from penstock.steps.params import StepParams
from penstock.types import Field as Item
from penstock.types import Schema

if TYPE_CHECKING:
    from penstock.errors import Problem
    from penstock.steps.api import Scope

_REFERENCE: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


class PythonParams(StepParams):
    """``python: {function: "module:name", schema: {column: type}}``."""

    function: Name = Field(description='The function as "module:name"; the module lies in the project\'s folder.')
    schema_: Annotated[dict[Name, Name], Field(min_length=1)] = Field(
        alias="schema", description="The columns that come out and their types, ? where null may stand."
    )
    whole_table: bool = Field(
        default=False, description="Whether the function gets all rows at once, which needs max_bytes."
    )
    max_bytes: ByteSize | None = Field(
        default=None,
        gt=0,
        description="With whole_table: how large the table may be in memory; a larger one stops the run.",
    )

    @model_validator(mode="after")
    def _bounded(self) -> PythonParams:
        if self.whole_table != (self.max_bytes is not None):
            raise ValueError("takes whole_table: true and max_bytes together: a whole table needs a stated bound")
        return self


def make(params: PythonParams, scope: Scope) -> str:
    """One Python node: rows in, rows out. The function is imported when the pipeline runs, never before.

    Raises ConfigError CMP-263 (not a "module:name"), CMP-209 (names that differ only in case), DOC-400... (types).
    """
    if _REFERENCE.fullmatch(params.function) is None:
        scope.fail(
            "CMP-263",
            f'"{params.function[:100]}" names no function',
            at=params.function,
            hint='write "module:name", such as "cleaning:standardise" for the function in cleaning.py',
        )
    return scope.add(
        Python(
            scope.node_id(),
            input=scope.input,
            function=str(params.function),
            declared=_declared(params, scope),
            whole_table=params.whole_table,
            max_bytes=params.max_bytes,
        )
    )


def _declared(params: PythonParams, scope: Scope) -> Schema:
    fields: list[Item] = []
    problems: list[Problem] = []
    for name, text in params.schema_.items():
        try:
            kind, nullable = scope.type(text)
            fields.append(Item(str(name), kind, nullable))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError.of(problems)
    return Schema(tuple(fields))


PYTHON = Descriptor(
    name="python",
    group="steps",
    summary="Hands the rows to a function of the project's own, as Arrow batches.",
    params=PythonParams,
    make=make,
    example="python: {function: 'cleaning:standardise', schema: {id: int64, name: string?}}",
    notes=(
        "The function gets a pyarrow RecordBatch (with whole_table a Table) and returns one or a Table with the declared columns.",
        "It runs with the rights of the user who runs the pipeline: it is code, and no sandbox holds it.",
        "It may be called again with the same rows when an epoch is redone, so it should have no effect but its result.",
    ),
)
