"""Pieces of files, for a load that is cut into a series of epochs: which files, and how much of one, come next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from penstock.connectors.files.states import begun, entries_of, moves, position_with
from penstock.structs import Mutable, replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.connectors.api import Position, Size
    from penstock.connectors.files.listing import FoundFile, Place


Find: TypeAlias = "Callable[[str], FoundFile | None]"  # a file by its name; None: it is gone


class Budget(Mutable):
    """What is left of an epoch's size."""

    size: Size
    rows: int = 0
    bytes: int = 0

    @property
    def rows_left(self) -> int | None:
        return None if self.size.rows is None else max(self.size.rows - self.rows, 0)

    @property
    def bytes_left(self) -> int | None:
        return None if self.size.bytes is None else max(self.size.bytes - self.bytes, 0)

    @property
    def is_spent(self) -> bool:
        return 0 in {self.rows_left, self.bytes_left}

    def take(self, rows: int, size: int) -> None:
        self.rows += rows
        self.bytes += size


class Divide(Protocol):
    def __call__(self, file: FoundFile, start: Place, budget: Budget) -> Place | None:
        """Takes from the budget what it allows of the file beyond ``start``, one record at least: the place where that ends;
        None: it is all there is, or the file is not to be divided.
        """


def next_piece(find: Find, after: Position | None, upto: Position, size: Size, divide: Divide) -> Position:
    """Where the next epoch of (after, upto] ends: some whole files, and the last of them perhaps in part."""
    budget, taken = Budget(size), False
    entries = entries_of(after)
    for before, state in moves(after, upto):
        if not state.has_rows_beyond(before):
            entries[state.name] = state.to_json()
            continue
        if taken and budget.is_spent:
            break
        file = find(state.name)
        end = divide(file, begun(before, state), budget) if file is not None else None
        entries[state.name] = replace(state, read=end).to_json()
        taken = True
        if end is not None:
            break
    return position_with(entries)


def take_whole(file: FoundFile, start: Place, budget: Budget) -> None:
    """A file that is not to be divided, or what is left of it: of such a one it is not known how many rows it has."""
    budget.take(budget.rows_left or 0, max(file.size - start.at, 0))
