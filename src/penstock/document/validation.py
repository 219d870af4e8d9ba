"""A pydantic model over a positioned tree: data that remembers its place goes in, located problems come out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ValidationError

from penstock.document.sql_text import as_sql
from penstock.document.template import text_of
from penstock.document.tree import Mapping, Scalar, Sequence, find, locate, offset_location
from penstock.errors import ConfigError, Problem, nearest
from penstock.fields import AlsoCalled, Located, UnfitSecretError
from penstock.secret import Secret
from penstock.structs import Frozen, field, replace
from penstock.types import QUOTED_TYPE, is_unclosed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as AbstractMapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from penstock.document.tree import Node, Path
    from penstock.errors import Location

Model = TypeVar("Model", bound=BaseModel)


def located(node: Node | None) -> object:
    """Ordinary data in which every text (keys too) is a :class:`Located`; None for no node."""
    match node:
        case None:
            return None
        case Scalar():
            return _text(node)
        case Sequence():
            return [located(item) for item in node.items]
        case Mapping():
            return {_text(entry.key): located(entry.value) for entry in node.entries.values()}


def _text(node: Scalar) -> object:
    """A replaced placeholder stays text whatever its value's type is: the field that takes it types it."""
    if isinstance(node.value, Secret) or node.value is None or not (node.replacements or isinstance(node.value, str)):
        return node.value

    def place(offset: int, length: int) -> Location:
        return offset_location(node, offset, length)

    def sql() -> Located:
        written = as_sql(node)
        return Located.of(
            text_of(written.value), node.at, lambda offset, length: offset_location(written, offset, length)
        )

    return Located.of(text_of(node.value), node.at, place, sql=sql if node.replacements else None)


class Owner(Frozen):
    """What problems call a tree: ``name``; and by its key a part of it that others have in common with it."""

    name: str
    shared: AbstractMapping[str, str] = field(default_factory=dict)

    def at(self, path: Path) -> tuple[str, Path]:
        """Whose value lies at the path, and the path in what is theirs."""
        part = self.shared.get(str(path[0])) if path else None
        return (self.name, path) if part is None else (part, path[1:])


def validate(
    model: type[Model], node: Node, owner: Owner, *, at: Location | None = None
) -> tuple[Model | None, list[Problem]]:
    """The model made of the tree, or None and everything that is wrong with it (DOC-201, DOC-202, DOC-203, DOC-213).

    ``at`` is the place of the key that names the tree: there stands what is wrong with a map as a whole.
    """
    try:
        return model.model_validate(located(node)), []
    except ConfigError as error:  # a placeholder where SQL has no quoting for it
        return None, list(error.problems)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        strange = _strange_parameters(details, model, node=node, owner=owner)
        problems = strange or [_problem(detail, model, node=node, owner=owner) for detail in _told(details, node)]
        return None, [_at_the_key(problem, node, at) for problem in problems]


def _strange_parameters(
    details: list[ErrorDetails], model: type[BaseModel], *, node: Node, owner: Owner
) -> list[Problem]:
    """A map with a wrong key was taken for the short form's value, which is no map: then the key is what is wrong."""
    short = getattr(model, "short", None)
    taken_whole = any(detail["loc"] == (short,) and detail["type"].endswith("_type") for detail in details)
    if not taken_whole or not isinstance(node, Mapping):
        return []
    return list(unknown_keys(node, tuple(_fields(model)), owner.name))


def _at_the_key(problem: Problem, node: Node, at: Location | None) -> Problem:
    whole = isinstance(node, Mapping) and problem.at == node.at
    return replace(problem, at=at) if whole and at is not None else problem


def unknown_keys(node: Mapping, known: tuple[str, ...], owner: str) -> Iterator[Problem]:
    """DOC-201 for each key that is not among the known ones."""
    for name, entry in node.entries.items():
        if name not in known:
            near = nearest(name, known)
            yield Problem(
                "DOC-201",
                f'{owner} has no key "{name}"',
                at=entry.key.at,
                detail=f"known keys: {', '.join(known)}.",
                hint=f'did you mean "{near}"?' if near else None,
            )


def _told(details: list[ErrorDetails], node: Node) -> Iterator[ErrorDetails]:
    """Without what pydantic says of the other alternatives of a union: of each place the deepest, the first of equals."""
    places = [present(node, detail["loc"]) for detail in details]
    for index, (detail, place) in enumerate(zip(details, places, strict=True)):
        if detail["type"] in {"extra_forbidden", "missing"} or not any(
            (other[: len(place)] == place and len(other) > len(place)) or (other == place and position < index)
            for position, other in enumerate(places)
        ):
            yield detail


def present(node: Node, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The parts of the path that the author wrote: pydantic puts the tags of a union into it too."""
    known: tuple[str | int, ...] = ()
    for part in path:
        if find(node, (*known, part)) is not None:
            known = (*known, part)
    return known


def _problem(detail: ErrorDetails, model: type[BaseModel], *, node: Node, owner: Owner) -> Problem:
    path = detail["loc"]
    name = str(path[-1]) if path else ""
    match detail["type"]:
        case "extra_forbidden":
            fields = _fields_beside(model, path)
            near = _own_name(name, fields) or nearest(name, fields)
            return Problem(
                "DOC-201",
                f'{owner.at(path)[0]} has no key "{name}"',
                at=locate(node, path, key=True),
                detail=f"known keys: {', '.join(fields)}." if fields else None,
                hint=f'did you mean "{near}"?' if near else None,
            )
        case "missing":
            whose, needed = owner.at((*present(node, path[:-1]), name))
            return Problem("DOC-202", f'{whose} needs "{_dotted(needed)}"', at=locate(node, path))
        case _:
            return _wrong_value(detail, node, owner)


def _wrong_value(detail: ErrorDetails, node: Node, owner: Owner) -> Problem:
    place = present(node, detail["loc"])
    if detail["type"] == "union_tag_invalid":
        place = present(node, (*place, _context(detail, "discriminator").strip("'")))
    found = find(node, place)
    whose, rest = owner.at(place)
    subject = f'"{_dotted(rest)}" of {whose}' if rest else whose
    is_unfit = isinstance(detail.get("ctx", {}).get("error"), UnfitSecretError)
    if isinstance(found, Scalar) and isinstance(found.value, Secret) and not is_unfit:
        return Problem(
            "DOC-213",
            f"{subject} cannot hold a secret",
            at=found.at,
            detail="secrets stand in fields that are declared secret, in URLs, headers and queries.",
        )
    expected = re.findall("'([^']*)'", _context(detail, "expected") or _context(detail, "expected_tags"))
    near = nearest(found.text, expected) if isinstance(found, Scalar) else None
    hint = f'did you mean "{near}"?' if near else _cut_hint(node, place) or _listed_hint(detail, found)
    words = _words(detail)
    link = " " if _VERB.match(words) else ": "
    at = locate(node, (*place, *_named_key(words, found)))
    return Problem("DOC-203", f"{subject}{link}{words}", at=at, hint=hint)


def _listed_hint(detail: ErrorDetails, found: Node | None) -> str | None:
    """For one thing in the place of a list of one."""
    is_list = detail["type"] in {"list_type", "tuple_type"} and isinstance(found, Scalar)
    return f"write [{found.text}]" if is_list and isinstance(found, Scalar) and found.text else None


_VERB: Final = re.compile(r"(takes|needs|has|cannot) ")  # else the words are a sentence with a subject of its own


def _named_key(words: str, found: Node | None) -> Path:
    """Of a map whose values do not fit together the first key that the words name."""
    named = re.findall(r"\w+", words) if isinstance(found, Mapping) else ()
    return next(((name,) for name in named if found is not None and find(found, (name,)) is not None), ())


def _cut_hint(node: Node, place: tuple[str | int, ...]) -> str | None:
    """For what YAML made of the rest of an unquoted type behind a comma."""
    siblings = find(node, place[:-1])
    if not place or not isinstance(siblings, Mapping):
        return None
    names = list(siblings.entries)
    before = names.index(str(place[-1])) - 1
    above = siblings.entries[names[before]].value if before >= 0 else None
    return QUOTED_TYPE if isinstance(above, Scalar) and is_unclosed(above.text) else None


def _context(detail: ErrorDetails, name: str) -> str:
    return str(detail.get("ctx", {}).get(name, ""))


def _dotted(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


# Pydantic speaks of dictionaries and instances; a document has maps, lists and texts.
_WORDS: Final = {
    "model_type": "takes a map of settings", "model_attributes_type": "takes a map of settings",
    "dict_type": "takes a map", "list_type": "takes a list", "tuple_type": "takes a list", "string_type": "takes a text",
    "int_type": "takes a whole number", "int_parsing": "takes a whole number", "int_from_float": "takes a whole number",
    "float_type": "takes a number", "float_parsing": "takes a number", "bool_type": "takes true or false",
    "bool_parsing": "takes true or false", "none_required": "takes no value",
}  # fmt: skip

_BOUNDS: Final = {
    "greater_than_equal": "takes {ge} or more", "greater_than": "takes more than {gt}",
    "less_than_equal": "takes {le} or less", "less_than": "takes less than {lt}",
    "string_too_short": "takes a text of {min_length} or more characters",
    "string_too_long": "takes a text no longer than {max_length}",
    "too_short": "takes a list of {min_length} or more", "too_long": "takes a list no longer than {max_length}",
}  # fmt: skip


def _words(detail: ErrorDetails) -> str:
    known = _WORDS.get(detail["type"]) or _BOUNDS.get(detail["type"])
    if known is not None:
        return known.format_map(detail.get("ctx", {}))
    if detail["type"] == "union_tag_invalid":
        return f"takes {_context(detail, 'expected_tags')}"
    if detail["type"] == "union_tag_not_found":
        return f"needs {_context(detail, 'discriminator')}"
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if text.startswith("should be "):
        text = f"takes {text.removeprefix('should be ')}"
    return text[:1].lower() + text[1:]


def secret_paths(value: object, path: Path = ()) -> Iterator[Path]:
    """The paths, as the document writes them, of all secrets in validated parameters."""
    match value:
        case Secret():
            yield path
        case BaseModel():
            for name, info in type(value).model_fields.items():
                yield from secret_paths(getattr(value, name), (*path, info.alias or name))
        case dict():
            for name, item in value.items():
                yield from secret_paths(item, (*path, name))
        case list() | tuple():
            for index, item in enumerate(value):
                yield from secret_paths(item, (*path, index))


def _own_name(name: str, fields: dict[str, FieldInfo]) -> str | None:
    """The key of the field that others call so."""
    also = {other: key for key, field in fields.items() for item in field.metadata for other in _others(item)}
    return also.get(name.lower())


def _others(item: object) -> tuple[str, ...]:
    return item.names if isinstance(item, AlsoCalled) else ()


def _fields_beside(model: type[BaseModel], path: tuple[str | int, ...]) -> dict[str, FieldInfo]:
    """The fields that may stand where the unknown one stands: those of the model at ``path[:-1]``, in which pydantic also
    names the member of a union that it took.
    """
    current: tuple[type[BaseModel], ...] = (model,)
    for part in path[:-1]:
        field = _fields(current[0]).get(str(part)) if len(current) == 1 else None
        if field is not None:
            current = tuple(models_in(field.annotation))
        else:
            current = tuple(member for member in current if str(part) in _tags(member)) or current
    return _fields(current[0]) if current else {}


def _tags(member: type[BaseModel]) -> set[str]:
    """What a union calls this member: the values of its ``type``, or its own name."""
    from typing import get_args

    kind = member.model_fields.get("type")
    return {member.__name__, *(map(str, get_args(kind.annotation)) if kind is not None else ())}


def _fields(model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()} if model else {}


def connections_of(params: type[BaseModel], kind: str) -> dict[str, type[BaseModel]]:
    """By its type each connection that a component takes: the one of its own ``kind``, or those that state their types."""
    field = params.model_fields.get("connection")
    models = list(models_in(field.annotation)) if field is not None else []
    stated = {tag: model for model in models if "type" in model.model_fields for tag in _tags(model) - {model.__name__}}
    return stated or ({kind: models[0]} if models else {})


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models in an annotation such as ``Annotated[Model | Other | None, ...]`` or ``list[Model]``."""
    from typing import get_args

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in get_args(annotation):
        yield from models_in(part)
