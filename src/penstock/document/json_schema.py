"""The JSON Schema (2020-12) of documents, for completion in editors and for the reference: made from descriptors and
models, so that it says what the validator says.

It is looser than the validator where form is not all (expressions and types are texts; what refers to what is not
looked at), and stricter only in that a number or a truth value in quotes is a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from penstock.document.ledger import CONNECTOR, ledger_model
from penstock.document.models import FilesConnection, ParamSpec, RunSettings
from penstock.document.schema_pieces import ABOUT, SchemaPiece, loosened, needed, reference, shared
from penstock.document.uses import BESIDE_A_RULE, BESIDE_A_STEP
from penstock.document.validation import connections_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import BaseModel

    from penstock.connectors.api import Json
    from penstock.registry import Descriptor

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_NAME: Final = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$"}
_TEXT: Final = {"type": ["string", "null"]}
_SCOPE: Final = {
    "const": "epoch",
    "description": "Over an incremental input: the rows of one epoch are meant, not all there are.",
}
_NAMES: Final = {"anyOf": [_NAME, {"type": "array", "minItems": 1, "items": _NAME}]}
_PLACEHOLDER: Final = {
    "type": "string",
    "pattern": r"\$\{(env|param|secret)\.[A-Za-z_][A-Za-z0-9_]*\}",
    "description": "A value from the environment, a parameter or a secret.",
}
_CONTRACT: Final = {
    "description": "The columns, in order, with their types; `?` marks a nullable one.",
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "columns": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}
            },
            "required": ["columns"],
            "additionalProperties": False,
            "examples": [{"columns": {"day": "date", "price": "decimal(12,4)?"}}],
        },
        {
            "type": "object",
            "properties": {"file": {"type": "string", "description": "An Avro (.avsc) or JSON Schema (.json) file."}},
            "required": ["file"],
            "additionalProperties": False,
        },
    ],
}
_CONNECTION_TEXT: Final = {
    "description": "A connection of the project file by its name, or a URL that says it all.",
    "anyOf": [_NAME, {"type": "string", "pattern": "://"}, {"$ref": "#/$defs/placeholder"}],
}


def document_schema(descriptors: Iterable[Descriptor]) -> Mapping[str, Json]:
    """The schema of pipeline documents and of project files, one for both: a file with ``project``, ``connections``,
    ``environments`` or ``ledger`` is a project file. Deterministic; ``descriptors`` are those of all groups, in any order.
    """
    builder = _Builder(sorted(descriptors, key=lambda item: (item.group, item.name)))
    return cast("Mapping[str, Json]", builder.whole())


class _Builder:
    def __init__(self, descriptors: Sequence[Descriptor]) -> None:
        self._descriptors = descriptors
        self._definitions: dict[str, SchemaPiece] = {}

    def whole(self) -> SchemaPiece:
        self._define("placeholder", _PLACEHOLDER)
        self._define("schema", _CONTRACT)
        self._define("run", self._model(RunSettings, "run"))
        self._define("param", self._model(ParamSpec, "param"))
        self._define("source", self._components("sources"))
        self._define("sink", self._components("sinks"))
        self._define("rejects", self._rejects())
        self._define("step", self._use("steps", BESIDE_A_STEP))
        self._define("rule", self._use("rules", BESIDE_A_RULE))
        self._define("connection", self._connection())
        self._define("ledger", self._ledger())
        self._define("pipeline", _pipeline())
        self._define("project", _project())
        used = needed(("project", "pipeline"), self._definitions)
        return {
            "$schema": DIALECT,
            "title": "Penstock documents",
            "if": {"type": "object", "anyOf": [{"required": [key]} for key in _PROJECT_KEYS]},
            "then": reference("project"),
            "else": reference("pipeline"),
            "$defs": shared({name: self._definitions[name] for name in sorted(used)}),
        }

    def _define(self, name: str, schema: SchemaPiece) -> None:
        self._definitions[name] = schema

    def _group(self, group: str) -> list[Descriptor]:
        return [item for item in self._descriptors if item.group == group]

    def _model(self, model: type[BaseModel], prefix: str) -> SchemaPiece:
        """A model's own schema; what it refers to becomes definitions of the whole, named after ``prefix``."""
        schema = model.model_json_schema(by_alias=True, ref_template=f"#/$defs/{prefix}.{{model}}")
        for name, definition in schema.pop("$defs", {}).items():
            self._define(f"{prefix}.{name}", loosened(definition))
        return loosened(schema)

    # ------------------------------------------------------------ sources, sinks, connections

    def _components(self, group: str) -> SchemaPiece:
        found = self._group(group)
        for item in found:
            self._define(f"{group}.{item.name}", self._component(item))
        return {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"enum": [item.name for item in found], "description": "What it is."}},
            "allOf": [_when_type(item.name, reference(f"{group}.{item.name}")) for item in found],
        }

    def _rejects(self) -> SchemaPiece:
        """Of a sink what is not about a node's rows; which settings those are, its own definition says."""
        names = [item.name for item in self._group("sinks") if "append" in item.modes]
        return {
            "type": "object",
            "required": ["type"],
            "description": "Where rejected rows go besides the ledger's folder: a table, or a folder of files.",
            "properties": {"type": {"enum": names, "description": "What it is, with the settings of such a sink."}},
        }

    def _component(self, descriptor: Descriptor) -> SchemaPiece:
        schema = self._model(descriptor.params, f"{descriptor.group}.{descriptor.name}")
        properties = schema["properties"]
        properties["type"] = {"const": descriptor.name, "description": descriptor.summary}
        if "schema" in properties:
            properties["schema"] = _or_null(reference("schema"))
        if "rules" in properties:
            properties["rules"] = {**_rules(), "description": properties["rules"]["description"]}
        if "connection" in properties:
            properties["connection"] = _either(_CONNECTION_TEXT, properties["connection"])
        if descriptor.modes and "mode" in properties:
            properties["mode"] = _mode(descriptor, properties["mode"])
        return {**_about(descriptor, _example(descriptor)), **schema}

    def _connection(self) -> SchemaPiece:
        """By type, where one is stated; without what is required: an environment may add it."""
        kinds = {"files": self._model(FilesConnection, "connections.files")}
        for item in (*self._group("sources"), *self._group("sinks")):
            for name, model in connections_of(item.params, item.name).items():
                if name not in kinds:
                    kinds[name] = self._model(model, f"connections.{name}")
        for name, schema in kinds.items():
            schema.pop("required", None)
            schema["properties"] = {**schema["properties"], "type": {"const": name, "description": "What it is for."}}
            self._define(f"connections.{name}", schema)
        return {
            "type": "object",
            "properties": {"type": {"enum": sorted(kinds), "description": "What it is for."}},
            "allOf": [_when_type(name, reference(f"connections.{name}")) for name in sorted(kinds)],
        }

    def _ledger(self) -> SchemaPiece:
        """Without what is required: an environment may add it."""
        connector = next((item for item in self._group("sources") if item.name == CONNECTOR), None)
        if connector is None:
            return {"type": "object"}
        schema = self._model(ledger_model(connector), "ledger")
        schema.pop("required", None)
        properties = schema["properties"]
        properties["connection"] = _either(_CONNECTION_TEXT, properties["connection"])
        return schema

    # ------------------------------------------------------------ steps and rules

    def _use(self, group: str, names: Sequence[str]) -> SchemaPiece:
        """``names`` may stand beside that of the step or the rule: texts, or what every rule's model says."""
        found = self._group(group)
        for item in found:
            self._define(f"{group}.{item.name}", self._form(item))
        common = self._model(found[0].params, f"{group}.{found[0].name}")["properties"] if found else {}
        common = {"scope": _SCOPE, **common}
        beside = {name: common.get(name, _TEXT) for name in names}
        return {
            "type": "object",
            "description": f"A map with one key, the {group.removesuffix('s')}'s name.",
            "properties": {**{item.name: reference(f"{group}.{item.name}") for item in found}, **beside},
            "oneOf": [{"required": [item.name]} for item in found],
            "additionalProperties": False,
        }

    def _form(self, descriptor: Descriptor) -> SchemaPiece:
        """The named parameters, or the value of the short form; where a map is always that value, only this."""
        schema = self._model(descriptor.params, f"{descriptor.group}.{descriptor.name}")
        about = _about(descriptor, _example(descriptor))
        short = getattr(descriptor.params, "short", None) or descriptor.short
        if short is None:
            return {**about, **schema}
        alone = schema["properties"][short]
        whole = getattr(descriptor.params, "whole", False)
        return {**about, "anyOf": [alone] if whole else [alone, schema]}


# ---------------------------------------------------------------- documents

_PROJECT_KEYS: Final = ("project", "connections", "environments", "ledger")


def _pipeline() -> SchemaPiece:
    return {
        "type": "object",
        "required": ["pipeline"],
        "additionalProperties": False,
        "properties": {
            "pipeline": {**_NAME, "description": "The pipeline's name; renaming it makes another pipeline of it."},
            "description": {**_TEXT, "description": "What it does, for people."},
            "params": _map_of("param", "What a run may be given: --param name=value."),
            "sources": _map_of("source", "Where rows come from, by name."),
            "transforms": {**_map_of("step", "What is done with them, by name."), "additionalProperties": _transform()},
            "sinks": _map_of("sink", "Where rows go, by name."),
            "rejects": _or_null(reference("rejects")),
            "run": _or_null(reference("run")),
            "tests": {
                "type": ["array", "null"],
                "items": _test(),
                "description": "What the pipeline makes of given rows: `penstock test FILE`.",
            },
        },
    }


def _test() -> SchemaPiece:
    rows = {"type": "array", "items": {"type": "object"}}
    value = {"type": ["string", "number", "boolean"]}
    reject = {
        "type": "object",
        "required": ["cause"],
        "additionalProperties": False,
        "properties": {
            "cause": {"type": "string", "description": "The rule or check, as rejects call it."},
            "column": {**_TEXT, "description": "The column that it is about."},
            "row": {"type": "object", "description": "Values of the rejected row; others may be any."},
        },
    }
    expected = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            "rows": {**rows, "description": "All rows of the node, by the columns that are named."},
            "count": {"type": "integer", "minimum": 0, "description": "How many rows it has."},
            "rejects": {"type": "array", "items": reject, "description": "All rows that it rejects."},
        },
    }
    return {
        "type": "object",
        "required": ["name", "expect"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "minLength": 1, "description": "What it says, unique in the document."},
            "description": {**_TEXT, "description": "More of it, for people."},
            "params": {
                "type": ["object", "null"],
                "additionalProperties": value,
                "description": "Values of parameters.",
            },
            "at": {"type": "string", "description": "What now() gives, such as 2024-01-31T12:00:00Z."},
            "given": {
                "type": ["object", "null"],
                "additionalProperties": rows,
                "description": "Rows by source, or by sink whose table is read; any other has none.",
            },
            "expect": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"anyOf": [rows, expected]},
                "description": "Rows by node: a source, a transform, a step (transform.step) or a sink.",
            },
        },
    }


def _transform() -> SchemaPiece:
    labels = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}
    return {
        "type": "object",
        "additionalProperties": False,
        "oneOf": [{"required": ["from"]}, {"required": ["sql"], "not": {"required": ["steps"]}}],
        "properties": {
            "from": {**_NAMES, "description": "The node whose rows it takes, or a list of them (union by name)."},
            "steps": {"type": ["array", "null"], "items": reference("step"), "description": "Steps, in order."},
            "sql": {"type": "string", "description": "One SELECT over node names, instead of `from` and `steps`."},
            "scope": _SCOPE,
            "schema": _or_null(reference("schema")),
            "rules": {**_rules(), "description": "What is demanded of its rows."},
            "labels": {**_or_null(labels), "description": "Sensitivity labels by column, such as {email: [pii]}."},
            "description": {**_TEXT, "description": "What it is, for people."},
        },
    }


def _rules() -> SchemaPiece:
    return {"type": ["array", "null"], "items": reference("rule")}


def _project() -> SchemaPiece:
    overlay = {"type": ["object", "null"], "additionalProperties": {"type": "object"}}
    environment = {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            "connections": {**overlay, "description": "What is laid over the connections, by key."},
            "ledger": _or_null(reference("ledger")),
            "run": _or_null(reference("run")),
            "description": {**_TEXT, "description": "What it is, for people."},
        },
    }
    return {
        "type": "object",
        "required": ["project"],
        "additionalProperties": False,
        "properties": {
            "project": {**_NAME, "description": "The project's name; renaming it makes other pipelines of all of its."},
            "description": {**_TEXT, "description": "What it is, for people."},
            "connections": _map_of("connection", "How systems are reached, by name."),
            "environments": {
                "type": ["object", "null"],
                "propertyNames": _NAME,
                "additionalProperties": environment,
                "description": "What differs where, by name: --env, or PENSTOCK_ENV.",
            },
            "ledger": _or_null(reference("ledger")),
            "run": _or_null(reference("run")),
        },
    }


# ---------------------------------------------------------------- pieces


def _map_of(name: str, description: str) -> SchemaPiece:
    return {
        "type": ["object", "null"],
        "propertyNames": _NAME,
        "additionalProperties": reference(name),
        "description": description,
    }


def _or_null(schema: SchemaPiece) -> SchemaPiece:
    return _either(schema, {"type": "null"})


def _either(first: SchemaPiece, second: SchemaPiece) -> SchemaPiece:
    return {**{key: second[key] for key in ABOUT if key in second}, "anyOf": [first, second]}


def _when_type(name: str, then: SchemaPiece) -> SchemaPiece:
    return {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then}


def _mode(descriptor: Descriptor, stated: SchemaPiece) -> SchemaPiece:
    about = {key: stated[key] for key in ABOUT if key in stated}
    return {**about, "anyOf": [{"enum": list(descriptor.modes)}, reference("placeholder")]}


def _about(descriptor: Descriptor, example: Json) -> SchemaPiece:
    return {"description": " ".join((descriptor.summary, *descriptor.notes)), "examples": [example]}


def _example(descriptor: Descriptor) -> Json:
    """The descriptor's example as data; of a step or a rule what stands under its name."""
    from penstock.document.loader import load
    from penstock.document.tree import plain

    data = cast("Json", plain(load(descriptor.example, f"the example of {descriptor.name}")))
    if descriptor.group not in {"steps", "rules"}:
        return data
    first = data[0] if isinstance(data, list) else data
    return first[descriptor.name] if isinstance(first, dict) else None
