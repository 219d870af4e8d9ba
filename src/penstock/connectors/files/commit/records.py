"""What the log of a target holds: pydantic models of its manifests and snapshots, and how one follows the other.

A file is ``{"checksum":"<XXH3 of the content>","content":{...}}``; content that does not match is never used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from penstock.connectors.api import EpochMarker, Receipt
from penstock.errors import FatalError
from penstock.types import Schema

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1

KeptColumn: TypeAlias = dict[str, str | bool | list[str]]


def kept_columns(schema: Schema) -> list[KeptColumn]:
    """Columns as they are kept: name, type, nullable, labels; ``Schema.from_json`` is the inverse."""
    return [
        {"name": field.name, "type": str(field.type), "nullable": field.nullable, "labels": sorted(field.labels)}
        for field in schema
    ]


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Kept):
    """One committed file: ``path`` relative to the target's folder, ``partition`` the values of the partition columns
    as text, ``shape`` the place of its columns in ``shapes``, ``version`` the commit that brought it.
    """

    path: str
    rows: int
    bytes: int
    checksum: str
    shape: int
    version: int
    partition: tuple[str | None, ...] = ()


class Placed(_Kept):
    """A file of a commit: where it lies, relative to ``parts``, until it is published as its entry says."""

    staged: str
    entry: Entry


class KeptReceipt(_Kept):
    """The fields of a stored receipt."""

    rows: int
    inserted: int
    deleted: int
    bytes: int
    version: str
    checksum: str

    def receipt(self) -> Receipt:
        return Receipt(**self.model_dump())


class Manifest(_Kept):
    """One committed epoch. ``columns`` are the target's after it, ``shapes`` the columns of its files in their order."""

    v: int = VERSION
    version: int
    sink_id: str
    epoch: int
    attempt: str
    fence: int
    mode: str
    form: str
    partition_by: tuple[str, ...]
    columns: list[KeptColumn]
    shapes: tuple[tuple[str, ...], ...]
    receipt: KeptReceipt
    added: tuple[Placed, ...] = ()
    removed: tuple[str, ...] = ()


class Mark(_Kept):
    """The last epoch of one sink id."""

    epoch: int
    fence: int
    receipt: KeptReceipt

    def marker(self) -> EpochMarker:
        return EpochMarker(self.epoch, self.fence, self.receipt.receipt())


class Columns(_Kept):
    """The target's columns from a version on."""

    since: int
    columns: list[KeptColumn]


class State(_Kept):
    """A target after all commits up to ``version``; version 0 is the target that is not there yet.

    ``last_removal`` is the newest version that took files out: older ones can no longer be read.
    """

    v: int = VERSION
    version: int = 0
    form: str = ""
    partition_by: tuple[str, ...] = ()
    history: tuple[Columns, ...] = ()
    shapes: tuple[tuple[str, ...], ...] = ()
    live: tuple[Entry, ...] = ()
    last_removal: int = 0
    marks: dict[str, Mark] = Field(default_factory=dict)

    def schema_at(self, version: int) -> Schema | None:
        """The target's columns as of a version; None before the first that has any."""
        found = [item.columns for item in self.history if item.since <= version and item.columns]
        return Schema.from_json(found[-1]) if found else None

    def after(self, manifest: Manifest) -> State:
        """The state once the next version is in."""
        shapes = [*self.shapes, *(shape for shape in manifest.shapes if shape not in self.shapes)]
        removed = frozenset(manifest.removed)
        kept = [entry for entry in self.live if entry.path not in removed]
        added = [
            placed.entry.model_copy(update={"shape": shapes.index(manifest.shapes[placed.entry.shape])})
            for placed in manifest.added
        ]
        same = bool(self.history) and self.history[-1].columns == manifest.columns
        news = () if same else (Columns(since=manifest.version, columns=manifest.columns),)
        mark = Mark(epoch=manifest.epoch, fence=manifest.fence, receipt=manifest.receipt)
        return State(
            version=manifest.version,
            form=manifest.form,
            partition_by=manifest.partition_by,
            history=(*self.history, *news),
            shapes=tuple(shapes),
            live=(*kept, *added),
            last_removal=manifest.version if removed else self.last_removal,
            marks={**self.marks, manifest.sink_id: mark},
        )


class Claim(_Kept):
    """In a store's log: from this version on ``fence`` is the oldest runner that commits for the sink, and ``voids`` are
    attempts of its that are committed never; ``sink`` is its folder's name. Of two that make the same claim both have it.
    """

    version: int
    sink: str
    fence: int
    voids: tuple[str, ...] = ()


class Logged(_Kept):
    """A version of a store's log: one of the two."""

    v: int = VERSION
    manifest: Manifest | None = None
    claim: Claim | None = None


class BucketState(_Kept):
    """A target in a store after all entries of its log up to ``state.version``; fences and void attempts by sink."""

    v: int = VERSION
    state: State = State()
    fences: dict[str, int] = Field(default_factory=dict)
    voids: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    def after(self, logged: Logged) -> BucketState:
        """Once the next entry is in. A newer fence makes void what older ones have staged: their names are not kept."""
        if logged.manifest is not None:
            return self.model_copy(update={"state": self.state.after(logged.manifest)})
        assert logged.claim is not None
        claim, before = logged.claim, self.fences.get(logged.claim.sink, -1)
        kept = self.voids.get(claim.sink, ()) if claim.fence == before else ()
        return BucketState(
            state=self.state.model_copy(update={"version": claim.version}),
            fences={**self.fences, claim.sink: max(claim.fence, before)},
            voids={**self.voids, claim.sink: (*kept, *claim.voids)},
        )


_Model = TypeVar("_Model", Manifest, State, Logged, BucketState)


def encode(model: Manifest | State | Logged | BucketState) -> bytes:
    """The bytes of a file of the log; ``decode`` is the inverse."""
    import xxhash

    content = model.model_dump_json().encode()
    return b'{"checksum":"%s","content":%s}' % (xxhash.xxh3_128_hexdigest(content).encode(), content)


def decode(content: bytes, model: type[_Model], path: Path | str) -> _Model:
    """Raises FatalError SNK-131 where the file is cut, altered, or of another version."""
    import xxhash

    head, middle, body = content.partition(b',"content":')
    expected = b'{"checksum":"%s"' % xxhash.xxh3_128_hexdigest(body[:-1]).encode()
    if not middle or head != expected or body[-1:] != b"}":
        raise _damaged(path, "its checksum does not match its content")
    try:
        found = model.model_validate_json(body[:-1])
    except ValidationError as error:
        raise _damaged(path, f"it is not of version {VERSION}: {error.error_count()} fields differ") from error
    if found.v != VERSION:
        raise _damaged(path, f"it is of version {found.v}, and {VERSION} is what can be read")
    return found


def _damaged(path: Path | str, detail: str) -> FatalError:
    return FatalError(
        "SNK-131",
        f'the record of committed files "{path}" is damaged',
        detail=detail,
        hint="restore the folder from a backup, or write to a new folder with --full-refresh",
    )
