"""Many tables (``tables:`` of a source): the document as a series of documents, one per table, and what reads none."""

from __future__ import annotations

import hashlib
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from penstock.compile.reads import only, reads, upstream
from penstock.connectors.api import Context, WriteMode
from penstock.connectors.families import PLACE, TableFamily, is_family
from penstock.document.assembly import load
from penstock.errors import ConfigError, InternalError, PenstockError, Problem
from penstock.fields import reveal
from penstock.service.opening import allowance_of
from penstock.service.scratch import scratch_folder
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from penstock.connectors.families import Member
    from penstock.document.assembly import Loaded
    from penstock.document.models import Pipeline, SinkUse, SourceUse
    from penstock.service.request import Request

_IN_SCHEMA: Final = f".{PLACE}"  # in a table's name: the schema stands before it
_NAMED: Final = ("path", "table")  # the parameters in which it is replaced
Answer = TypeVar("Answer")
_MOST_BYTES: Final = 180  # of a file name's 255, with room for what is put beside it


class Part(Frozen):
    """A document that runs by itself. ``member`` is the table it is about (``crm.sales.orders``), None: no table.

    Its pipeline is named ``shop/crm.sales.orders``: ranges, receipts, rejects, leases and status are kept under that.
    """

    loaded: Loaded
    member: str | None = None
    stops: bool = False  # whether the parts after it are not begun where it fails


class Parts(Frozen):
    """In the order in which they run. ``loaded`` is the document as it is written; ``of_tables`` whether it has
    ``tables:`` at all.
    """

    loaded: Loaded
    each: tuple[Part, ...]
    of_tables: bool = False


class PerPart(Frozen, Generic[Answer]):
    """What is known of each part of a document, in the order of the parts; ``of_tables`` as ``Parts`` has it."""

    answers: tuple[Answer, ...]
    of_tables: bool

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def to_json(self, one: Callable[[Answer], dict[str, Any]]) -> dict[str, Any]:
        """Of a document without ``tables:`` its answer, which ``one`` turns into JSON; else all of them."""
        if not self.of_tables:
            return one(self.answers[0])
        return {"members": [one(answer) for answer in self.answers]}


@contextmanager
def parts(request: Request, loaded: Loaded | None = None, *, offline: bool = False) -> Iterator[Parts]:
    """Reads the document, unless it is handed in, and asks which tables there are now; a document without ``tables:`` is
    its own only part. So is every document ``offline``: which tables there are is not known then.

    Raises ConfigError CMP-320 to CMP-324, and what asking raises; the families are closed with the block.
    """
    loaded = loaded or load(request.file, request.settings)
    shape = _Shape.of(loaded.pipeline)
    problems = tuple(shape.problems())
    if problems:
        raise ConfigError.of(problems)
    if offline or not shape.families:
        yield Parts(loaded, (Part(loaded),), bool(shape.families))
        return
    with ExitStack() as closing:
        folder = closing.enter_context(scratch_folder())
        found: list[Part] = []
        for name in shape.families:
            use = loaded.pipeline.sources[name]
            context = Context(
                name,
                loaded.paths.resolve,
                folder,
                request.clock,
                allowance=allowance_of(loaded, folder),
                wards=request.wards,
            )
            found += _members(closing, loaded, shape=shape, use=use, context=context)
        rest = shape.rest()
        if rest.sinks:
            found.append(Part(replace(loaded, pipeline=rest)))
        yield Parts(loaded, tuple(found), of_tables=True)


def _members(closing: ExitStack, loaded: Loaded, *, shape: _Shape, use: SourceUse, context: Context) -> Iterable[Part]:
    try:
        family = use.descriptor.make(use.params, context)
        if not isinstance(family, TableFamily):
            raise InternalError("INT-900", f'the connector "{use.descriptor.name}" makes no family of tables')
        closing.callback(family.close)
        members = family.members()
    except PenstockError as error:
        raise error.placed(use.at, use.places) from None
    problems = tuple(shape.meeting(use.name, members))
    if problems:
        raise ConfigError.of(problems)
    return [
        Part(
            replace(loaded, pipeline=shape.of_member(use, family, member)),
            f"{use.name}.{member.name}",
            family.on_table_error == "stop",
        )
        for member in sorted(members, key=lambda one: (-one.priority, one.name))
    ]


# ---------------------------------------------------------------- which part of the document is whose


class _Shape(Frozen):
    pipeline: Pipeline
    reads: Mapping[str, frozenset[str]]
    families: tuple[str, ...]

    @classmethod
    def of(cls, pipeline: Pipeline) -> _Shape:
        families = tuple(name for name, use in pipeline.sources.items() if is_family(use.descriptor, use.params))
        return cls(pipeline, reads(pipeline), families)

    def families_of(self, name: str) -> list[str]:
        """Those whose rows lead to the node."""
        above = upstream(self.reads, (name,))
        return [family for family in self.families if family in above]

    def problems(self) -> Iterator[Problem]:
        for name, sink in self.pipeline.sinks.items():
            above = self.families_of(name)
            marked = any(PLACE in reveal(getattr(sink.params, key, "")) for key in _NAMED)
            if len(above) > 1:
                yield _two_families(sink, above)
            elif above and not marked:
                yield _no_place(sink, above[0])
            elif marked and not above:
                yield Problem(
                    "CMP-323", f'the sink "{name}" names {PLACE} and reads no source with `tables:`', at=sink.at
                )
            if above:
                yield from (_shared(sink, other) for other in self._shared_sinks(name))

    def _shared_sinks(self, name: str) -> Iterator[str]:
        above = upstream(self.reads, (name,))
        return (other for other in self.pipeline.sinks if other in above and not self.families_of(other))

    def meeting(self, family: str, members: Sequence[Member]) -> Iterator[Problem]:
        """Tables of several schemas that one sink would put into one."""
        by_name: dict[str, list[str]] = {}
        for member in members:
            by_name.setdefault(member.own_name, []).append(member.name)
        same = [names for names in by_name.values() if len(names) > 1]
        for name, sink in self.pipeline.sinks.items():
            if same and self.families_of(name) == [family] and _IN_SCHEMA in getattr(sink.params, "table", ""):
                yield Problem(
                    "CMP-324",
                    f'the sink "{name}" would write tables of one name to one place',
                    at=sink.at,
                    detail="; ".join(" and ".join(names) for names in same),
                    hint=f"write {PLACE} without a schema before it, or make a source of each schema",
                )

    def of_member(self, use: SourceUse, family: TableFamily, member: Member) -> Pipeline:
        """What leads to the sinks over the family, with this one table for all of them."""
        whole = self.pipeline
        sinks = {name: sink for name, sink in whole.sinks.items() if self.families_of(name) == [use.name]}
        part = self._only(sinks, f"{whole.name}/{use.name}.{file_name(member.name)}")

        def make(_params: object, context: Context) -> Any:
            return family.source(member, context)

        source = replace(use, descriptor=replace(use.descriptor, make=make))
        return replace(
            part,
            sources={**part.sources, use.name: source},
            sinks={name: _for_member(sink, member) for name, sink in sinks.items()},
        )

    def rest(self) -> Pipeline:
        """What reads no family."""
        return self._only({name: sink for name, sink in self.pipeline.sinks.items() if not self.families_of(name)})

    def _only(self, sinks: Mapping[str, SinkUse], name: str | None = None) -> Pipeline:
        return replace(only(self.pipeline, sinks), name=name or self.pipeline.name, sinks=dict(sinks))


def _two_families(sink: SinkUse, families: list[str]) -> Problem:
    return Problem(
        "CMP-321",
        f'the sink "{sink.name}" reads the tables of both "{families[0]}" and "{families[1]}"',
        at=sink.at,
        hint="give each family sinks of its own",
    )


def _no_place(sink: SinkUse, family: str) -> Problem:
    keys = [key for key in _NAMED if hasattr(sink.params, key)]
    return Problem(
        "CMP-320",
        f'all tables of "{family}" would be written to one place by the sink "{sink.name}"',
        at=sink.at,
        hint=f"write {PLACE} where the table's name belongs, in {' or '.join(keys)}" if keys else None,
    )


def _shared(sink: SinkUse, other: str) -> Problem:
    return Problem(
        "CMP-322",
        f'the sink "{sink.name}" is written per table and reads the sink "{other}", which is written once',
        at=sink.at,
        hint=f'read the table of "{other}" through a source',
    )


# ---------------------------------------------------------------- names of one table


def _for_member(sink: SinkUse, member: Member) -> SinkUse:
    folders = (file_name(part, kept="") for part in member.parts)  # a dot would make an extension of what follows it
    shown = {"path": "/".join(folders), "table": member.name}
    changed: dict[str, Any] = {
        key: getattr(sink.params, key).replace(PLACE, shown[key]) for key in _NAMED if hasattr(sink.params, key)
    }
    if _IN_SCHEMA in getattr(sink.params, "table", ""):
        changed["table"] = sink.params.table.replace(_IN_SCHEMA, f".{member.own_name}")  # type: ignore[attr-defined]
    if sink.params.mode is WriteMode.MERGE and not sink.params.keys:
        changed["keys"] = list(dict.fromkeys(member.keys))
    return replace(sink, params=sink.params.model_copy(update=changed))


def file_name(name: str, kept: str = ".") -> str:
    """A name of one file or folder, the same for the same name and for no other: letters, digits, ``_``, ``-`` and what
    is ``kept`` stand for themselves, all others as %XX, and none begins with a dot or ``_``. Long ones end in a digest.
    """
    written = re.sub(rf"[^\w{re.escape(kept)}-]|^[._]", lambda found: _percent(found[0]), name)
    if len(written.encode()) <= _MOST_BYTES:
        return written
    cut = written.encode()[: _MOST_BYTES - 17].decode(errors="ignore")
    return f"{cut}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())
