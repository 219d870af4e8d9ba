"""Who may commit what an attempt left in an object store, or remove it: one object decides, made if it is not there yet.

Below ``home`` each attempt of a sink has a folder of its own::

    <attempt>/open      it was begun, for this purpose
    <attempt>/claim     "commit": a commit may name its files; "void": none ever will
    <attempt>/…         what its owner keeps beside them

A folder on a disk has a lock for that (``locks``), which ends with its process; a store has none. Soundness: a commit first
makes the claim and then finds ``open`` there; who removes makes it, and removes ``open`` before it. So what is removed is
committed by nobody. An attempt whose claim is a commit's is removed by who knows that the commit cannot come any more: the
table has its epoch, or the mark of a newer runner.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from penstock.connectors.objects.keys import joined
from penstock.structs import Frozen, asdict

if TYPE_CHECKING:
    from penstock.connectors.objects.bucket import Bucket

_OPEN: Final = "open"
_CLAIM: Final = "claim"
_COMMIT: Final = b"commit"
_VOID: Final = b"void"


class Purpose(Frozen):
    """``epoch`` of the marker named ``marker``, for a runner of ``sink``, named alike for all its incarnations, with ``fence``."""

    marker: str
    epoch: int
    sink: str
    fence: int

    def is_over(self, *, epoch: int, fence: int) -> bool:
        """Whether a table refuses to commit it: one that has this epoch under the marker and this fence under the sink."""
        return self.epoch <= epoch or self.fence < fence

    def is_over_after(self, done: Purpose) -> bool:
        """The same of a table that has just committed ``done``."""
        return self.is_over(epoch=done.epoch if done.marker == self.marker else 0, fence=done.fence)


class Claims:
    """On the attempts of one sink at one table. Raises what ``Bucket`` does."""

    def __init__(self, bucket: Bucket, home: str) -> None:
        self._bucket = bucket
        self._home = home

    def key(self, name: str, *parts: str) -> str:
        return joined(self._home, name, *parts)

    def begin(self, name: str, purpose: Purpose) -> None:
        """``name`` is nobody else's."""
        self._bucket.write(self.key(name, _OPEN), json.dumps(asdict(purpose)).encode())

    def purpose(self, name: str) -> Purpose | None:
        """None where it is not open (any more)."""
        content = self._bucket.read(self.key(name, _OPEN))
        return None if content is None else Purpose(**json.loads(content))

    def names(self) -> list[str]:
        """Of the attempts that are there."""
        start = len(self._home) + 1
        return sorted({item.key[start:].partition("/")[0] for item in self._bucket.list(self._home)})

    def over_after(self, done: Purpose) -> list[str]:
        """The attempts that a table refuses once it has committed ``done``; one that is not open is on its way out."""
        purposes = ((name, self.purpose(name)) for name in self.names())
        return [name for name, purpose in purposes if purpose is None or purpose.is_over_after(done)]

    def take(self, name: str) -> bool:
        """To commit it; False where it is void, or gone. May be repeated."""
        if not self._bucket.create(self.key(name, _CLAIM), _COMMIT):
            return False
        if self.purpose(name) is None:
            self._bucket.delete([self.key(name, _CLAIM)])
            return False
        return True

    def void(self, name: str) -> bool:
        """False where a commit has it. May be repeated."""
        return self._bucket.create(self.key(name, _CLAIM), _VOID)

    def is_void(self, name: str) -> bool:
        """Of one that is not yet committed: whether another has thrown it away."""
        return self.purpose(name) is None or self._bucket.read(self.key(name, _CLAIM)) == _VOID

    def drop(self, name: str) -> None:
        """All that lies in its folder, the claim last."""
        keys = [item.key for item in self._bucket.list(self.key(name))]
        last = [self.key(name, _OPEN), self.key(name, _CLAIM)]
        self._bucket.delete([key for key in keys if key not in last])
        for key in last:
            if key in keys:
                self._bucket.delete([key])
