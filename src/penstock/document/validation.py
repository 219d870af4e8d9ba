"""A pydantic model over a positioned tree: data that remembers its place goes in, located problems come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from penstock.document.sql_text import as_sql
from penstock.document.template import text_of
from penstock.document.tree import Mapping, Scalar, Sequence, find, locate, offset_location
from penstock.errors import ConfigError, Problem, nearest
from penstock.fields import Located
from penstock.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from penstock.document.tree import Node
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


def validate(model: type[Model], node: Node, owner: str) -> tuple[Model | None, list[Problem]]:
    """The model made of the tree, or None and everything that is wrong with it (DOC-201, DOC-202, DOC-203)."""
    try:
        return model.model_validate(located(node)), []
    except ConfigError as error:  # a placeholder where SQL has no quoting for it
        return None, list(error.problems)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        return None, list(_problems(details, model, node, owner))


def _problems(details: list[ErrorDetails], model: type[BaseModel], node: Node, owner: str) -> Iterator[Problem]:
    for detail in details:
        path = tuple(detail["loc"])
        name = str(path[-1]) if path else ""
        match detail["type"]:
            case "extra_forbidden":
                known = _keys_beside(model, path)
                near = nearest(name, known)
                yield Problem(
                    "DOC-201",
                    f'{owner} has no key "{name}"',
                    at=locate(node, path, key=True),
                    detail=f"known keys: {', '.join(known)}." if known else None,
                    hint=f'did you mean "{near}"?' if near else None,
                )
            case "missing":
                yield Problem("DOC-202", f'{owner} needs "{name}"', at=locate(node, path))
            case _:
                yield Problem(
                    "DOC-203", f"{_subject(owner, node, path)} {_words(detail['msg'])}", at=locate(node, path)
                )


def _subject(owner: str, node: Node, path: tuple[str | int, ...]) -> str:
    """The deepest part of the path that the author wrote: pydantic puts the tags of a union into it too."""
    known = [str(part) for part in path if isinstance(part, str) and find(node, path[: path.index(part) + 1])]
    return f'"{known[-1]}" of {owner}' if known else owner


def _words(message: str) -> str:
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


def _keys_beside(model: type[BaseModel], path: tuple[str | int, ...]) -> tuple[str, ...]:
    """The keys that may stand where the unknown one stands: those of the model at ``path[:-1]``."""
    current: type[BaseModel] | None = model
    for part in path[:-1]:
        field = _fields(current).get(str(part)) if current else None
        annotation = field.annotation if field else None
        current = _model_in(annotation) if annotation is not None else current
    return tuple(_fields(current)) if current else ()


def _fields(model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()} if model else {}


def _model_in(annotation: object) -> type[BaseModel] | None:
    from typing import get_args

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
