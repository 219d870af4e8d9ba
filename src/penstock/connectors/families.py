"""Many tables in one source (``tables:``): what a connector with Capability.TABLE_FAMILY hands over besides a Source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, runtime_checkable

from penstock.registry import Capability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Context, Source
    from penstock.connectors.params import SourceParams
    from penstock.registry import Descriptor

PLACE: Final = "{table}"  # in a sink's path or table: where the name of each of the tables belongs
OnTableError = Literal["continue", "stop"]


class Member(Protocol):
    """One table. ``name`` is unique in the family and stays the same from run to run: positions, receipts and rejects
    are kept under it; ``{table}`` in a sink's table shows it. ``parts`` are its names from the outermost on (schema,
    table): folders, where ``{table}`` stands in a path; ``own_name`` is the last of them as documents write it: what
    ``archive.{table}`` shows. ``keys`` tell its rows apart; empty: nothing is known of that.
    Higher ``priority`` runs earlier.
    """

    @property
    def name(self) -> str: ...

    @property
    def parts(self) -> Sequence[str]: ...

    @property
    def own_name(self) -> str: ...

    @property
    def keys(self) -> Sequence[str]: ...

    @property
    def priority(self) -> int: ...


@runtime_checkable
class TableFamily(Protocol):
    """What ``make`` gives where the document says ``tables``."""

    @property
    def on_table_error(self) -> OnTableError:
        """Whether the other tables go on when one fails."""

    def members(self) -> Sequence[Member]:
        """The tables there are now, each once. Raises ConfigError where a name is no table or a pattern fits none."""

    def source(self, member: Any, context: Context) -> Source:
        """One of ``members()`` as a source of its own; closing it leaves the family open."""

    def close(self) -> None:
        """Idempotent."""


def is_family(descriptor: Descriptor, params: SourceParams) -> bool:
    """Whether a source of the document means many tables."""
    return Capability.TABLE_FAMILY in descriptor.capabilities and getattr(params, "tables", None) is not None
