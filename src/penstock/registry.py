"""Descriptors of connectors and steps: the one place from which docs, JSON Schema, catalogue and validation come.

A descriptor is found through an entry point (groups ``penstock.sources``, ``penstock.sinks``, ``penstock.steps``,
``penstock.rules``) whose name is the name in the document; its module is imported when that name is first asked for, and a descriptor's module
imports no driver.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast

from penstock.errors import InternalError
from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from importlib.metadata import EntryPoint, EntryPoints
    from pathlib import Path

    from pydantic import BaseModel

    from penstock.clock import Clock

Group = Literal["sources", "sinks", "steps", "rules"]
Dimension = Literal["completeness", "validity", "uniqueness", "consistency", "timeliness", "accuracy"]
GROUPS: tuple[Group, ...] = ("sources", "sinks", "steps", "rules")


class Capability(StrEnum):
    """What a connector declares; the conformance suites test each declared one."""

    REPLAYABLE = "replayable"  # scanning the same range again gives the same rows
    SPOOLS = "spools"  # cannot be read again, so it writes what it got to a file first (connectors/api.py, Spooling)
    PROJECTION = "projection"  # reads only the columns asked for
    FILTER = "filter"  # takes a predicate into the read
    PARALLEL = "parallel"  # has partitions that may be read at the same time
    COLUMNAR = "columnar"  # lies in files by column: reading a few of them twice is cheaper than keeping the rows
    NATIVE = "native"  # the engine reads or writes it with its own reader or writer
    LOCAL = "local"  # lies in files of this machine: its columns may be looked at offline
    ATOMIC_COMMIT = "atomic_commit"  # data and epoch marker in one act
    READ_BACK = "read_back"  # a transform may name the sink and read its table
    SNAPSHOT = "snapshot"  # reads a table as it stood when the read began, whatever is written to it meanwhile
    NEW_FILES = "new_files"  # takes `incremental: files`
    ASKED_FROM = "asked_from"  # takes `incremental: {cursor, send}`: asks its system for rows from a value on
    VERSIONS = "versions"  # takes `incremental: version`
    DIVISIBLE = "divisible"  # a long load may be cut into a series of epochs
    TABLE_FAMILY = "table_family"  # takes `tables:`
    TIME_TRAVEL = "time_travel"  # reads an older version


class ScratchPlace(Frozen):
    """How a sink writes elsewhere while its pipeline is tortured: beside its own target, in the same system.

    ``moved(params, name, folder)``: the parameters with that place, which ``name`` (letters, digits, ``_``) tells from
    others; what lies in files lies in ``folder`` (absolute, present). Pure: every process of a trial asks for itself.
    ``there(moved params, clock)``: a block in which the place is there, and after which nothing of it is left.
    ``remove(moved params, clock)``: nothing of the place is left, if there was any; None: it lies in the folder.
    """

    moved: Callable[[Any, str, Path], Any]
    there: Callable[[Any, Clock], AbstractContextManager[None]]
    remove: Callable[[Any, Clock], None] | None = None


class Descriptor(Frozen):
    """What there is to know about one source, sink, step or rule before it is used.

    ``params`` is a pydantic model (closed set of keys, a description on every field); ``example`` a piece of YAML that
    validates against it, as it stands under the component's name (or in a list of steps or rules); ``short`` names the field
    that the short form of a step or rule fills; ``make`` builds the thing from validated parameters: a Source or Sink from
    ``(params, Context)`` (connectors/api.py), a step's nodes from
    ``(params, Scope)`` (steps/api.py), a rule's causes likewise (rules/api.py).
    """

    name: str
    group: Group
    summary: str
    params: type[BaseModel]
    make: Callable[..., Any]
    example: str
    capabilities: frozenset[Capability] = frozenset()
    modes: tuple[str, ...] = ()  # write modes of a sink, the default first
    extra: str | None = None  # the optional dependency group it needs: `pip install penstock[extra]`
    short: str | None = None
    dimension: Dimension | None = None  # of a rule: which side of quality it is about
    notes: tuple[str, ...] = field(default=())  # limits a user must know, one sentence each
    scratch: ScratchPlace | None = None  # of a sink; what lies in local files by its path needs none


@cache
def _entry_points(group: Group) -> Mapping[str, EntryPoint]:
    return {point.name: point for point in _every_entry_point().select(group=f"penstock.{group}")}


@cache
def _every_entry_point() -> EntryPoints:
    """Of all installed distributions, whose metadata is read once."""
    from importlib.metadata import entry_points

    return entry_points()  # type: ignore[return-value]  # of Python 3.11 the declared type is the old one


def names(group: Group) -> tuple[str, ...]:
    """All names of a group, sorted; imports nothing."""
    return tuple(sorted(_entry_points(group)))


@cache
def find(group: Group, name: str) -> Descriptor | None:
    """The descriptor of that name, its module imported now; None where there is none."""
    point = _entry_points(group).get(name)
    if point is None:
        return None
    descriptor = cast("Descriptor", point.load())
    if descriptor.name != name or descriptor.group != group:
        raise InternalError("INT-900", f'entry point "{name}" of {group} names the descriptor of "{descriptor.name}"')
    return descriptor


def every(group: Group) -> tuple[Descriptor, ...]:
    """All descriptors of a group, sorted by name, every module imported: for the catalogue and the docs."""
    return tuple(found for found in (find(group, name) for name in names(group)) if found is not None)
