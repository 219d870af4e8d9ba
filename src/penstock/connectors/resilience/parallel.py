"""Several calls at the same time, their results in the order of the calls, with a bound on what is held."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from typing import TYPE_CHECKING, Final, TypeVar, cast

from penstock.connectors.resilience.cancel import Cancellation

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

A = TypeVar("A")
B = TypeVar("B")
_END: Final = object()
_LOOK_S: Final = 0.05  # a signal that comes just before a wait begins does not end it: it is seen at the next look


def in_order(
    function: Callable[[A, Cancellation], B],
    items: Iterable[A],
    *,
    concurrency: int,
    look_ahead: int | None = None,
    within: Cancellation | None = None,
) -> Generator[B]:
    """``function(item, cancellation)`` for each item on up to ``concurrency`` threads; yields in the order of ``items``.

    ``items`` is pulled on the caller's thread, after the caller has dealt with what was yielded before, never more than
    ``look_ahead`` (default: twice the concurrency) items ahead of what was yielded, so that at most so many results are
    held. The first call that raises, in order, ends it with that exception. Whenever it ends early (an error, a closed
    generator, Ctrl-C) the calls under way are cancelled and waited for: no thread outlives the iteration.
    """
    ahead = max(look_ahead or 2 * concurrency, 1)
    with (within or Cancellation()).child() as scope:
        executor = ThreadPoolExecutor(concurrency, thread_name_prefix="penstock-parallel")
        waiting: deque[Future[B]] = deque()
        try:
            source = iter(items)
            while True:
                while len(waiting) < ahead and (item := next(source, _END)) is not _END:
                    waiting.append(executor.submit(function, cast("A", item), scope))
                if not waiting:
                    return
                yield _awaited(waiting.popleft())
        finally:
            scope.cancel()
            executor.shutdown(wait=True, cancel_futures=True)


def _awaited(future: Future[B]) -> B:
    while True:
        try:
            return future.result(timeout=_LOOK_S)
        except NotYetError:
            if future.done():
                return future.result()
