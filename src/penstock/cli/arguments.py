"""Arguments before they are parsed, and what the parser says against them as one problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

JSON: Final = "--json"
_VALUED: Final = frozenset({"--log-level", "--log-format"})
_FLAGS: Final = frozenset({"--quiet", "-q"})
_NAMED: Final = 5  # pipelines of a hint
_BRACES: Final = str.maketrans("", "", "{}")
GLOBAL: Final = (*sorted(_VALUED), *sorted(_FLAGS), JSON)


def arranged(arguments: Sequence[str]) -> list[str]:
    """Global options may stand anywhere before ``--``: the parser gets them in front, and ``--json`` behind.

    >>> arranged(["run", "a.yml", "--quiet", "--log-level", "debug"])
    ['--quiet', '--log-level', 'debug', 'run', 'a.yml']
    >>> arranged(["--json", "rejects", "list"])
    ['rejects', 'list', '--json']
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    front: list[str] = []
    middle: list[str] = []
    words = iter(arguments[:end])
    for word in words:
        if word in _VALUED:
            front += [word, *_next(words)]
        elif word in _FLAGS or word.partition("=")[0] in _VALUED:
            front.append(word)
        elif word != JSON:
            middle.append(word)
    asked = [JSON] if middle and JSON in arguments[:end] else []
    return [*front, *middle, *asked, *arguments[end:]]


def _next(words: Iterator[str]) -> list[str]:
    word = next(words, None)
    return [] if word is None else [word]


def wants_json(arguments: Sequence[str]) -> bool:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return JSON in arguments[:end]


def refused(error: Exception, pipelines: Callable[[], Sequence[object]]) -> ConfigError:
    """What the parser raised, with the nearest name of what there is, or the ``pipelines`` where a file is left out: CLI-100."""
    context = getattr(error, "ctx", None)
    usage = context.get_usage().partition(":")[2].strip().translate(_BRACES) if context is not None else ""
    wrong = _wrong_name(error)
    near = nearest(wrong, _known_names(context)) if wrong not in GLOBAL else None
    path = context.command_path if context is not None else "penstock"
    message = _message(error)
    there = list(pipelines()) if message == 'missing argument "FILE"' else []
    if near:
        hint = f'did you mean "{near}"?'
    elif there:
        more = f" and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
        hint = f"name a pipeline: here are {', '.join(map(str, there[:_NAMED]))}{more}"
    else:
        hint = f"`{path} --help` shows what there is"
    return ConfigError("CLI-100", message, detail=f"usage: {usage}" if usage else None, hint=hint)


def _message(error: Exception) -> str:
    text = str(getattr(error, "format_message", lambda: error)())
    context = getattr(error, "ctx", None)
    if context is not None and text == context.get_help():  # what the parser says where a command is left out
        return "missing command"
    text = text.partition(". Did you mean")[0].partition(" (Possible options")[0]
    text = (
        text.replace("Value error, ", "").replace("Input should be", "it should be").replace("'", '"').removesuffix(".")
    )
    return text[:1].lower() + text[1:]


def _wrong_name(error: Exception) -> str:
    """The unknown option or command, else nothing that is near to anything."""
    option = getattr(error, "option_name", None)
    if option is not None:
        return str(option)
    message = str(getattr(error, "message", ""))
    return message.split("'")[1] if message.startswith("No such command '") else ""


def _known_names(context: object) -> Iterable[str]:
    command = getattr(context, "command", None)
    for parameter in getattr(command, "params", ()):
        yield from (name for name in parameter.opts if name.startswith("-"))
    yield from getattr(command, "commands", ())
    yield from GLOBAL
