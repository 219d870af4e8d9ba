"""The parameters that every source and every sink has; a connector's own model derives from one of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_validator

from penstock.connectors.api import WriteMode
from penstock.connectors.incremental import IncrementalParam
from penstock.connectors.reconcile import Reconcile
from penstock.fields import AlsoCalled, Located, Name, NullWord, Params

Labels = Annotated[
    dict[str, list[str]],
    Field(default_factory=dict, description="Sensitivity labels by column, such as {email: [pii]}; they follow it."),
]
# Inline {columns: {name: type}} or {file: path}; the document layer turns it into a Schema (document/contracts.py).
SchemaParam = Annotated[
    dict[str, Any] | None,
    Field(
        default=None, description="The schema it is held to: {columns: {name: type}} or {file: x.avsc|x.schema.json}."
    ),
]

# The document layer reads them (document/uses.py).
RulesParam = Annotated[
    Any,
    Field(default=None, description="What is demanded of its rows: a list of rules, each a map with one key."),
    WithJsonSchema({"type": "array", "items": {"type": "object"}}),
]


class SourceParams(Params):
    """Keys that stand on every source."""

    type: str = Field(description="Which connector reads it.")
    description: str = Field(default="", description="What it is, for people.")
    schema_: SchemaParam = Field(default=None, alias="schema")
    on_new_column: Literal["ignore", "add", "fail"] = Field(
        default="ignore", description="What a column does that the schema does not name."
    )
    on_missing_column: Annotated[Literal["fail", "null"], NullWord] = Field(
        default="fail", description="What happens when a column of the schema is not there."
    )
    on_type_change: Literal["fail", "widen"] = Field(
        default="fail",
        description="What happens when a column's type holds more than the schema's; widen takes the type that holds both.",
    )
    on_bad_value: Annotated[Literal["reject", "null", "fail"], NullWord] = Field(
        default="reject", description="What a value does that its column's type cannot take."
    )
    incremental: IncrementalParam
    rules: RulesParam
    labels: Labels


class SinkParams(Params):
    """Keys that stand on every sink."""

    type: str = Field(description="Which connector writes it.")
    from_: str | list[str] = Field(alias="from", description="The node whose rows it takes, or a list (union by name).")
    description: str = Field(default="", description="What it is, for people.")
    mode: WriteMode = Field(default=WriteMode.APPEND, description="How rows meet what is there.")
    keys: Annotated[list[Name], AlsoCalled(("primary_key", "unique_key"))] = Field(
        default_factory=list, description="The columns that tell rows apart, for merge."
    )
    order_by: Name | None = Field(default=None, description="The column that says which row of a key is newer.")
    scope: Literal["epoch"] | None = Field(
        default=None,
        description="For overwrite_partitions over new rows: an epoch brings the whole of each partition that it has rows of.",
    )
    schema_: SchemaParam = Field(default=None, alias="schema")
    on_schema_change: Literal["fail", "evolve", "ignore"] = Field(
        default="fail", description="What happens when the rows' columns are not the target's."
    )
    rules: RulesParam
    reconcile: Reconcile | None = Field(
        default=None,
        description="Each run compares what the target holds with its source anew, by count, checksum and key; {} as it is.",
    )
    allow: list[str] = Field(default_factory=list, description="Labels that may flow into this sink.")
    allow_empty: bool = Field(default=False, description="Whether an empty input may overwrite the table.")

    @model_validator(mode="after")
    def _scope_is_of_partitions(self) -> SinkParams:
        if self.scope is not None and self.mode != WriteMode.OVERWRITE_PARTITIONS:
            raise ValueError(f"scope is for mode overwrite_partitions; mode {self.mode} takes no notice of it")
        return self

    def elsewhere(self) -> str | None:
        """Where it lies, for people, where that is not this machine; no secret is in it."""
        return None


__all__ = ["Labels", "Located", "RulesParam", "SchemaParam", "SinkParams", "SourceParams"]
