"""Where a project's ledger is kept: in a file of its state folder, or in the PostgreSQL database that penstock.yml names."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from penstock.errors import PenstockError
from penstock.ledger.api import PipelineKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.clock import Clock
    from penstock.document.assembly import Loaded
    from penstock.document.ledger import LedgerUse
    from penstock.document.project import Project
    from penstock.ledger.api import Ledger

LEDGER_FILE: Final = "ledger.db"


def key_of(loaded: Loaded) -> PipelineKey:
    """By which the ledger knows the document's pipeline."""
    return PipelineKey(loaded.project.name, loaded.project.environment, loaded.pipeline.name)


def open_ledger(project: Project, use: LedgerUse | None, clock: Clock | None = None) -> Ledger:
    """The ledger, made where there is none. ``use`` None: in the state folder. Raises what a ledger raises."""
    if use is None:
        from penstock.ledger.sqlite import SqliteLedger

        return SqliteLedger(project.state / LEDGER_FILE, clock)
    from penstock.ledger.postgres import PostgresLedger

    with _placed(use):
        return PostgresLedger.open(use.settings.connection, use.settings.schema_, clock)


def find_ledger(project: Project, use: LedgerUse | None, clock: Clock | None = None) -> Ledger | None:
    """As ``open_ledger``; None where nothing ever ran: asking makes none."""
    if use is None:
        return open_ledger(project, use, clock) if (project.state / LEDGER_FILE).exists() else None
    from penstock.ledger.postgres import PostgresLedger

    with _placed(use):
        return PostgresLedger.find(use.settings.connection, use.settings.schema_, clock)


@contextmanager
def _placed(use: LedgerUse) -> Iterator[None]:
    """What goes wrong here stands where the project file names the ledger."""
    try:
        yield
    except PenstockError as error:
        raise error.placed(use.at, use.places) from None
