"""What stands in a document for a part of another make: its type is known, its connection put in its place, its settings
validated, the places of its secrets noted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from penstock.document.extras import missing_distributions
from penstock.document.tree import Entry, Mapping, Scalar, find
from penstock.document.validation import Owner, connections_of, present, secret_paths, validate
from penstock.errors import Problem, nearest
from penstock.structs import Mutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pydantic import BaseModel

    from penstock.errors import Location
    from penstock.registry import Descriptor, Group

_URL: Final = re.compile("://")
Model = TypeVar("Model", bound="BaseModel")


class Catalogue(Mutable):
    """The two functions of ``penstock.registry`` that reading needs; handed in, for tests and for embedders."""

    find: Callable[[Group, str], Descriptor | None]
    names: Callable[[Group], tuple[str, ...]]
    missing: Callable[[str], tuple[str, ...]] = missing_distributions  # what an optional extra needs and is not there


class Components(Mutable, kw_only=True):
    """Collects problems while it reads; every method returns None where its part is beyond use."""

    catalogue: Catalogue
    connections: Mapping | None
    problems: list[Problem] = field(default_factory=list)
    secret_places: set[Location] = field(default_factory=set)

    def problem(
        self, code: str, message: str, at: Location, hint: str | None = None, detail: str | None = None
    ) -> None:
        self.problems.append(Problem(code, message, at=at, hint=hint, detail=detail))

    def settings(self, model: type[Model], node: Mapping, *, kind: str, owner: str, at: Location) -> Model | None:
        """The settings of a part of that kind, its connection among them. ``at`` is the place of its name."""
        whole = self.with_connection(node, connections_of(model, kind), kind)
        if whole is None:
            return None
        shared = {} if whole is node else _connection_of(node)
        made, problems = validate(model, whole, Owner(owner, shared), at=at)
        self.problems.extend(problems)
        places = (find(whole, present(whole, path)) for path in secret_paths(made))
        self.secret_places.update(found.at for found in places if isinstance(found, Scalar))
        return made

    def with_connection(self, node: Mapping, types: Collection[str], kind: str) -> Mapping | None:
        """The component with the named connection's map in the place of its name; ``types`` are those that it takes."""
        use = node.entries.get("connection")
        if use is None or not isinstance(use.value, Scalar) or not isinstance(use.value.value, str):
            return node
        if _URL.search(use.value.value):  # written inline, as far as the connector takes one text for it
            return node
        known = self.connections.entries if self.connections else {}
        entry = known.get(use.value.value)
        if entry is None or not isinstance(entry.value, Mapping):
            near = nearest(use.value.value, known)
            self.problem(
                "DOC-208",
                f'there is no connection "{use.value.value}"',
                use.value.at,
                hint=f'did you mean "{near}"?' if near else "write it under `connections:` in penstock.yml, or inline",
                detail=f"known connections: {', '.join(known)}." if known else None,
            )
            return None
        stated = entry.value.get("type")
        if isinstance(stated, Scalar) and stated.value not in types:
            self.problem(
                "DOC-209",
                f'the connection "{use.value.value}" is for {stated.value}, not for {kind}',
                use.value.at,
                detail=None if kind in types else f"{kind} takes connections of the types {', '.join(types)}.",
            )
            return None
        own = kind in types  # then the connection's map need not say what it is
        settings = {name: item for name, item in entry.value.entries.items() if not own or name != "type"}
        replaced = Entry(replace(use.key, at=entry.key.at), Mapping(settings, entry.value.at))
        return Mapping({**node.entries, "connection": replaced}, node.at)

    def check_installed(self, descriptor: Descriptor, at: Location) -> None:
        missing = self.catalogue.missing(descriptor.extra) if descriptor.extra else ()
        if missing:
            self.problem(
                "DOC-214",
                f'the type "{descriptor.name}" needs what is not installed: {", ".join(missing)}',
                at,
                hint=f"run `pip install 'penstock[{descriptor.extra}]'`",
            )


def _connection_of(node: Mapping) -> dict[str, str]:
    """What is said of the settings of a connection that the component names."""
    name = node.get("connection")
    return {"connection": f'the connection "{name.text}"'} if isinstance(name, Scalar) else {}


def places_of(node: Mapping) -> dict[str, Location]:
    """Where the values of its keys stand."""
    return {name: entry.value.at for name, entry in node.entries.items()}
