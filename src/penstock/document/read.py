"""From a positioned tree to a validated document, with all its errors at once."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, TypeVar, cast

from penstock.document.components import Catalogue, Components, places_of
from penstock.document.contracts import column_places, read_contract
from penstock.document.models import REJECTS, Pipeline, RunSettings, SinkUse, SourceUse, Transform
from penstock.document.pipeline_tests import PipelineTests
from penstock.document.tree import Entry, Mapping, Scalar, Sequence, is_null, locate
from penstock.document.uses import UseReader
from penstock.document.validation import Owner, located, unknown_keys, validate
from penstock.errors import ConfigError, Problem, nearest
from penstock.fields import Located
from penstock.registry import Capability
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.connectors.params import SinkParams, SourceParams
    from penstock.document.models import RuleUse, StepUse
    from penstock.document.tree import Node
    from penstock.errors import Location
    from penstock.fields import Params
    from penstock.registry import Descriptor, Group
    from penstock.types import Schema

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_KEYS = ("pipeline", "description", "params", "sources", "transforms", "sinks", "rejects", "run", "tests")
_TRANSFORM_KEYS = ("from", "steps", "sql", "schema", "rules", "scope", "labels", "description")
# What is said of a node's rows, and rejected rows are no node's.
_NOT_OF_REJECTS = (
    "from",
    "mode",
    "keys",
    "order_by",
    "schema",
    "rules",
    "reconcile",
    "on_schema_change",
    "allow_empty",
)
__all__ = ["Catalogue", "Reading", "read"]

Found = TypeVar("Found")


class Reading(Frozen):
    """What came of reading: the pipeline unless it is beyond use, all problems in the order they were found, and the
    places of all values in fields declared secret, whether or not they were written as ``${secret.X}``.
    """

    pipeline: Pipeline | None
    problems: tuple[Problem, ...]
    secret_places: frozenset[Location]


class _Reader(Components, kw_only=True):
    """Collects problems while it reads; every method returns None where its part is beyond use."""

    read_file: Callable[[str], bytes]

    # ------------------------------------------------------------ the document

    def pipeline(self, root: Node, file: str) -> Pipeline | None:
        if not isinstance(root, Mapping):
            self.problem("DOC-200", "a pipeline document is a map", root.at, hint="start with `pipeline: name`")
            return None
        self.closed(root, _KEYS, "a pipeline document")
        name = self.name_of_pipeline(root)
        description = self.description(root)
        run, problems = validate(RunSettings, self.given(root, "run") or Mapping({}, root.at), Owner("run"))
        self.problems.extend(problems)
        sources = self.section(root, "sources", self.source)
        transforms = self.section(root, "transforms", self.transform)
        sinks = self.section(root, "sinks", self.sink)
        rejects = self.rejects(root)
        tests = tuple(PipelineTests(self.problems).tests(self.given(root, "tests")))
        self.unique(root)
        if name is None or run is None:
            return None
        return Pipeline(
            name=name,
            file=file,
            sources=sources,
            transforms=transforms,
            sinks=sinks,
            run=run,
            description=description,
            tests=tests,
            rejects=rejects,
        )

    def description(self, node: Mapping) -> str:
        text = node.get("description")
        if text is not None and not isinstance(text, Scalar):
            self.problem("DOC-203", '"description" is a text', text.at)
        return text.text if isinstance(text, Scalar) else ""

    def name_of_pipeline(self, root: Mapping) -> str | None:
        node = root.get("pipeline")
        if node is None:
            self.problem("DOC-202", 'the document has no "pipeline"', root.at, hint="give it a name: `pipeline: name`")
            return None
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or not _NAME.fullmatch(node.value):
            self.problem("DOC-204", "a pipeline's name is a lower-case word", node.at, hint="use a-z, 0-9 and _")
            return None
        return node.value

    @staticmethod
    def given(node: Mapping, name: str) -> Node | None:
        """What stands under the key; an empty value counts as none."""
        value = node.get(name)
        return None if value is not None and is_null(value) else value

    def section(
        self, root: Mapping, title: str, read: Callable[[str, Mapping, Location], Found | None]
    ) -> dict[str, Found]:
        node = self.given(root, title)
        if node is None:
            return {}
        if not isinstance(node, Mapping):
            self.problem("DOC-203", f'"{title}" is a map of names', node.at)
            return {}
        found: dict[str, Found] = {}
        for name, entry in node.entries.items():
            at = entry.key.at
            if not _NAME.fullmatch(name):
                self.problem("DOC-204", f'"{name}" is not a name', at, hint="use lower-case letters, digits and _")
            if name == "this":
                what = "in expressions and queries `this` is what comes into a step."
                self.problem("DOC-215", 'no node can be named "this"', at, detail=what)
            if not isinstance(entry.value, Mapping):
                self.problem("DOC-203", f'"{name}" is a map of settings', entry.value.at)
                continue
            result = read(name, entry.value, at)
            if result is not None:
                found[name] = result
        return found

    def unique(self, root: Mapping) -> None:
        seen: dict[str, str] = {}
        for title in ("sources", "transforms", "sinks"):
            node = root.get(title)
            for name, entry in node.entries.items() if isinstance(node, Mapping) else ():
                if name in seen:
                    self.problem(
                        "DOC-205",
                        f'the name "{name}" stands twice: under {seen[name]} and under {title}',
                        entry.key.at,
                        hint="names are unique over sources, transforms and sinks",
                    )
                seen.setdefault(name, title)

    def closed(self, node: Mapping, known: tuple[str, ...], owner: str) -> None:
        self.problems.extend(unknown_keys(node, known, owner))

    # ------------------------------------------------------------ sources and sinks

    def source(self, name: str, node: Mapping, at: Location) -> SourceUse | None:
        read = self.component("sources", name, node, at)
        if read is None:
            return None
        descriptor, params = read
        contract, columns = self.contract(node), column_places(node.get("schema"))
        source = cast("SourceParams", params)
        return SourceUse(name, at, descriptor, source, contract, places_of(node), columns, self.rules(node))

    def sink(self, name: str, node: Mapping, at: Location) -> SinkUse | None:
        read = self.component("sinks", name, node, at)
        if read is None:
            return None
        descriptor, params = read
        sink = cast("SinkParams", params)
        if sink.mode not in descriptor.modes:
            self.problem(
                "DOC-207",
                f'{descriptor.name} does not know the mode "{sink.mode}"',
                locate(node, ("mode",)),
                detail=f"it knows {', '.join(descriptor.modes)}.",
            )
        contract, columns = self.contract(node), column_places(node.get("schema"))
        inputs, rules = tuple(self.inputs(node)), self.rules(node)
        return SinkUse(name, at, descriptor, sink, inputs, contract, places_of(node), columns, rules)

    def rejects(self, root: Mapping) -> SinkUse | None:
        """``rejects:``, a sink that takes the rejected rows of every epoch. Its name holds what place it is: another place is
        another sink, which begins with what is rejected from then on.
        """
        node = self.given(root, "rejects")
        if node is None:
            return None
        if not isinstance(node, Mapping):
            self.problem("DOC-203", '"rejects" is a map of settings', node.at)
            return None
        for name in _NOT_OF_REJECTS:
            if name in node.entries:
                self.problem(
                    "DOC-430",
                    f'"rejects" takes no "{name}"',
                    node.entries[name].key.at,
                    detail="Rejected rows are appended, in columns of their own.",
                )
        at = root.entries["rejects"].key.at
        own = Entry(Scalar("from", "from", at), Scalar("rejects", "rejects", at))
        read = self.component("sinks", "rejects", Mapping({**node.entries, "from": own}, node.at), at)
        if read is None or any(name in node.entries for name in _NOT_OF_REJECTS):
            return None
        descriptor, params = read
        if "append" not in descriptor.modes or Capability.ATOMIC_COMMIT not in descriptor.capabilities:
            self.problem(
                "DOC-431",
                f"{descriptor.name} cannot take rejected rows: nothing would keep a row from coming twice",
                locate(node, ("type",)),
                hint="name a table, or a folder of files",
            )
            return None
        # Not over where a connection leads, or how: a system may move, and what it has is told by its markers.
        stated = cast("SinkParams", params).model_dump(mode="json", exclude={"connection"})
        place = json.dumps([descriptor.name, stated], default=str)
        name = f"{REJECTS}{hashlib.sha256(place.encode()).hexdigest()[:8]}"
        return SinkUse(name, at, descriptor, cast("SinkParams", params), (), places=places_of(node))

    def component(self, group: Group, name: str, node: Mapping, at: Location) -> tuple[Descriptor, Params] | None:
        kind = node.get("type")
        if not isinstance(kind, Scalar) or not isinstance(kind.value, str):
            self.problem("DOC-202", f'"{name}" has no "type"', kind.at if kind else at, hint=self.types_hint(group))
            return None
        descriptor = self.catalogue.find(group, kind.value)
        if descriptor is None:
            self.unknown_type(group, kind.value, kind.at)
            return None
        self.check_installed(descriptor, kind.at)
        params = self.settings(descriptor.params, node, kind=kind.value, owner=f'"{name}"', at=at)
        return (descriptor, cast("Params", params)) if params is not None else None

    def unknown_type(self, group: Group, kind: str, at: Location) -> None:
        near = nearest(kind, self.catalogue.names(group))
        other: Group = "sinks" if group == "sources" else "sources"
        known_there = kind in self.catalogue.names(other)
        self.problem(
            "DOC-206",
            f'there is no type "{kind}" among the {group}',
            at,
            hint=f'did you mean "{near}"?' if near else self.types_hint(group),
            detail=f'"{kind}" is known among the {other} only.' if known_there else None,
        )

    def types_hint(self, group: Group) -> str:
        return f"known types: {', '.join(self.catalogue.names(group))}"

    def contract(self, node: Mapping) -> Schema | None:
        schema = node.get("schema")
        if schema is None:
            return None
        try:
            contract, warnings = read_contract(schema, self.read_file)
        except ConfigError as error:
            self.problems.extend(error.problems)
            return None
        self.problems.extend(warnings)
        return contract

    def inputs(self, node: Mapping) -> Iterator[Located]:
        value = node.get("from")
        if isinstance(value, Sequence) and not value.items:
            self.problem("DOC-203", '"from" names no node', value.at)
        items = value.items if isinstance(value, Sequence) else (value,)
        for item in items:
            text = located(item) if isinstance(item, Scalar) else None
            if isinstance(text, Located):
                yield text
            elif item is not None:
                self.problem("DOC-203", '"from" is the name of a node, or a list of names', item.at)

    # ------------------------------------------------------------ transforms

    def transform(self, name: str, node: Mapping, at: Location) -> Transform | None:
        self.closed(node, _TRANSFORM_KEYS, "a transform")
        sql, source = node.get("sql"), node.get("from")
        if (sql is None) == (source is None):
            what = 'has both "from" and "sql"' if sql is not None else 'has neither "from" nor "sql"'
            self.problem(
                "DOC-210", f'"{name}" {what}', at, hint="a transform is `from` and `steps`, or one `sql` SELECT"
            )
            return None
        labels = located(node.get("labels"))
        columns = column_places(node.get("schema"))
        common: dict[str, Any] = {
            "contract": self.contract(node),
            "columns": columns,
            "labels": self.labels(labels, node),
            "scope": self.uses().scope(node),
            "rules": self.rules(node),
        }
        if sql is not None:
            text = located(sql)
            if not isinstance(text, Located):
                self.problem("DOC-203", '"sql" is one SELECT', sql.at)
                return None
            if "steps" in node.entries:
                self.problem("DOC-210", f'"{name}" has both "sql" and "steps"', node.entries["steps"].key.at)
            query = self.query(text)
            return Transform(name, at, sql=query, **common) if query is not None else None
        return Transform(name, at, inputs=tuple(self.inputs(node)), steps=self.steps(node), **common)

    def query(self, text: Located) -> Located | None:
        try:
            return text.for_sql()
        except ConfigError as error:
            self.problems.extend(error.problems)
            return None

    def labels(self, value: object, node: Mapping) -> dict[str, frozenset[str]]:
        if value is None:
            return {}
        if isinstance(value, dict) and all(isinstance(item, list) for item in value.values()):
            return {str(name): frozenset(str(label) for label in item) for name, item in value.items()}
        self.problem("DOC-203", '"labels" is a map of columns to lists of labels', locate(node, ("labels",)))
        return {}

    # ------------------------------------------------------------ steps and rules

    def steps(self, node: Mapping) -> tuple[StepUse, ...]:
        reader = self.uses()
        return tuple(reader.steps(node.get("steps")))

    def rules(self, node: Mapping) -> tuple[RuleUse, ...]:
        reader = self.uses()
        return tuple(reader.rules(node.get("rules")))

    def uses(self) -> UseReader:
        return UseReader(self.catalogue.find, self.catalogue.names, self.problems)


def read(
    root: Node,
    file: str,
    *,
    catalogue: Catalogue,
    connections: Mapping | None = None,
    read_file: Callable[[str], bytes],
) -> Reading:
    """The document, validated. ``connections`` is the project's map (environment merged, templates replaced);
    ``read_file`` reads a schema file by its path in the document. Problems have the codes DOC-200 and following.
    """
    reader = _Reader(catalogue=catalogue, connections=connections, read_file=read_file)
    pipeline = reader.pipeline(root, file)
    return Reading(pipeline, tuple(reader.problems), frozenset(reader.secret_places))
