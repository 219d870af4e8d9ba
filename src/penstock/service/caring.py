"""How gently the systems of a pipeline are treated, as its connections say: retries, breaker, rate, bulkhead, timeouts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from penstock.connectors.resilience.settings import Care
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.document.models import Pipeline, SinkUse, SourceUse

_GROUPS: Final = ("retries", "breaker", "bulkhead", "rate_limit", "timeouts")
_SINGLE: Final = ("connect_timeout", "statement_timeout", "lock_timeout")


class Setting(Frozen):
    """``group`` is "" of a setting that stands by itself; ``value`` None: there is no such limit. A duration is in seconds."""

    group: str
    name: str
    value: int | float | str | None
    is_default: bool
    is_duration: bool = False

    def to_json(self) -> dict[str, Any]:
        name = f"{self.group}.{self.name}" if self.group else self.name
        unit = {"unit": "s"} if self.is_duration else {}
        return {"name": name, "value": self.value, **unit, "default": self.is_default}


class CaredFor(Frozen):
    """A connection, the sources and sinks that share it, and its settings."""

    used_by: tuple[str, ...]
    settings: tuple[Setting, ...]

    def to_json(self) -> dict[str, Any]:
        return {"used_by": list(self.used_by), "settings": [setting.to_json() for setting in self.settings]}


def cared_for(pipeline: Pipeline) -> tuple[CaredFor, ...]:
    """One per connection to a service, in the document's order."""
    found: list[tuple[Care, list[str]]] = []
    uses: list[SourceUse | SinkUse] = [*pipeline.sources.values(), *pipeline.sinks.values()]
    uses += [pipeline.rejects] if pipeline.rejects is not None else []
    for use in uses:
        connection = getattr(use.params, "connection", None)
        if not isinstance(connection, Care):
            continue
        known = next((names for one, names in found if type(one) is type(connection) and one == connection), None)
        if known is None:
            found.append((connection, [use.name]))
        else:
            known.append(use.name)
    return tuple(CaredFor(tuple(names), tuple(_settings(connection))) for connection, names in found)


def _settings(connection: Care) -> Iterator[Setting]:
    stated = connection.model_fields_set
    fields = type(connection).model_fields
    for group in (name for name in _GROUPS if name in fields):
        value = getattr(connection, group)
        if isinstance(value, BaseModel):
            yield from _of_group(group, value, is_stated=group in stated)
        else:
            yield Setting("", group, None, group not in stated)
    for name in (name for name in _SINGLE if name in fields):
        yield _setting("", name, getattr(connection, name), is_default=name not in stated)


def _of_group(group: str, settings: BaseModel, *, is_stated: bool) -> Iterator[Setting]:
    for name in type(settings).model_fields:
        is_default = not is_stated or name not in settings.model_fields_set
        value = getattr(settings, name)
        if isinstance(value, dict):
            for key, one in value.items():
                yield _setting(group, f"{name}.{key}", one, is_default=is_default)
        else:
            yield _setting(group, name, value, is_default=is_default)


def _setting(group: str, name: str, value: object, *, is_default: bool) -> Setting:
    match value:
        case timedelta():
            return Setting(group, name, value.total_seconds(), is_default, is_duration=True)
        case None | int() | float():
            return Setting(group, name, value, is_default)
        case _:
            return Setting(group, name, str(value), is_default)


def grouped(settings: Sequence[Setting]) -> dict[str, list[Setting]]:
    """By group, in their order."""
    found: dict[str, list[Setting]] = {}
    for setting in settings:
        found.setdefault(setting.group, []).append(setting)
    return found


__all__ = ["CaredFor", "Setting", "cared_for", "grouped"]
