"""The compare-and-swap on a table: data, marker, fence and columns in one transaction, or nothing at all.

The catalog takes the transaction only where the table's branch still stands at the snapshot that was looked at (for a new
table: where there is none). Every commit of ours makes a snapshot, also one without rows, so what was checked on the
handle (marker, fence, files) still holds when it is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.api import WriteMode
from penstock.connectors.iceberg.catalog import brief
from penstock.connectors.iceberg.layout import Mark, key_of, mark_of, summary_of
from penstock.connectors.iceberg.table import newest
from penstock.errors import PenstockError, TransientError
from penstock.structs import replace

if TYPE_CHECKING:
    from pyiceberg.table import Transaction

    from penstock.connectors.api import Epoch, Receipt
    from penstock.connectors.iceberg.catalog import Catalog
    from penstock.connectors.iceberg.changes import Change


def swap(
    catalog: Catalog, table: str, transaction: Transaction, change: Change, *, epoch: Epoch, mode: WriteMode
) -> Receipt | None:
    """Commit: the receipt with its version, the snapshot; None where another writer was first.

    Raises TransientError SNK-256 where nothing was committed although nobody was in the way.
    """
    try:
        receipt = _stage(transaction, change, epoch, mode)
        transaction.commit_transaction()
    except PenstockError:
        raise
    except Exception as error:  # noqa: BLE001 -- of many libraries; what it means, the table tells
        return _settled(catalog, table, epoch, error)
    return receipt


def _stage(transaction: Transaction, change: Change, epoch: Epoch, mode: WriteMode) -> Receipt:
    update = transaction.update_snapshot(snapshot_properties=summary_of(epoch))
    with update.overwrite() if change.removes or mode is WriteMode.OVERWRITE else update.merge_append() as producer:
        for entry in change.removes:
            producer.delete_data_file(entry)
        for entry in change.adds:
            producer.append_data_file(entry)
        number = producer.snapshot_id
    receipt = replace(change.receipt, version=str(number))
    mark = Mark(epoch.number, epoch.fence, epoch.attempt, number, receipt)
    transaction.set_properties({key_of(epoch.sink_id): mark.to_text()})
    return receipt


def _settled(catalog: Catalog, table: str, epoch: Epoch, error: Exception) -> Receipt | None:
    """After an answer that was lost or unclear, what the table says. Errors as ``swap``."""
    from pyiceberg.exceptions import CommitFailedException, TableAlreadyExistsError

    after = newest(catalog, table)
    if after is not None:
        mark = mark_of(after.handle.metadata.properties, epoch.sink_id)
        if mark is not None and (mark.epoch, mark.attempt) == (epoch.number, epoch.attempt):
            return mark.receipt
    if isinstance(error, (CommitFailedException, TableAlreadyExistsError)):
        return None
    raise TransientError("SNK-256", f'the commit to the Iceberg table "{table}" failed', detail=brief(error)) from error
