"""Who may commit what an attempt left in an object store, or remove it: one object decides, made if it is not there yet.

Below ``home`` each attempt of a sink has a folder of its own::

    <attempt>/open      it was begun: what it was for
    <attempt>/claim     "commit": a commit may name its files; "void": none ever will
    <attempt>/…         what its owner keeps beside them

A folder on a disk has a lock for that (``locks``), which ends with its process; a store has none. Soundness: a commit first
makes the claim and then finds ``open`` there; who removes makes it, and removes ``open`` before it. So what is removed is
committed by nobody. An attempt whose claim is a commit's is removed by who knows that the commit cannot come any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.objects.keys import joined

if TYPE_CHECKING:
    from penstock.connectors.objects.store import Bucket

_OPEN: Final = "open"
_CLAIM: Final = "claim"
_COMMIT: Final = b"commit"
_VOID: Final = b"void"


class Claims:
    """On the attempts of one sink at one table. Raises what ``Bucket`` does."""

    def __init__(self, bucket: Bucket, home: str) -> None:
        self._bucket = bucket
        self._home = home

    def key(self, name: str, *parts: str) -> str:
        return joined(self._home, name, *parts)

    def begin(self, name: str, told: bytes) -> None:
        """``name`` is nobody else's; ``told`` says what the attempt is for."""
        self._bucket.write(self.key(name, _OPEN), told)

    def told(self, name: str) -> bytes | None:
        """What was said when it was begun; None where it is not open (any more)."""
        return self._bucket.read(self.key(name, _OPEN))

    def names(self) -> list[str]:
        """Of the attempts that are there."""
        start = len(self._home) + 1
        return sorted({item.key[start:].partition("/")[0] for item in self._bucket.list(self._home)})

    def take(self, name: str) -> bytes | None:
        """To commit it: what was told; None where it is void, or gone. May be repeated."""
        if not self._bucket.create(self.key(name, _CLAIM), _COMMIT):
            return None
        told = self.told(name)
        if told is None:
            self._bucket.delete([self.key(name, _CLAIM)])
        return told

    def void(self, name: str) -> bool:
        """False where a commit has it. May be repeated."""
        return self._bucket.create(self.key(name, _CLAIM), _VOID)

    def is_void(self, name: str) -> bool:
        """Of one that is not yet committed: whether another has thrown it away."""
        return self.told(name) is None or self._bucket.read(self.key(name, _CLAIM)) == _VOID

    def drop(self, name: str) -> None:
        """All that lies in its folder, the claim last."""
        keys = [item.key for item in self._bucket.list(self.key(name))]
        last = [self.key(name, _OPEN), self.key(name, _CLAIM)]
        self._bucket.delete([key for key in keys if key not in last])
        for key in last:
            if key in keys:
                self._bucket.delete([key])
