"""What becomes of a table's columns in the transaction that brings the rows."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from penstock.connectors.iceberg.schema import to_type, type_of
from penstock.types import relaxed

if TYPE_CHECKING:
    from pyiceberg.table import Transaction
    from pyiceberg.types import IcebergType

    from penstock.types import LogicalType, Schema


def stays(old: IcebergType, new: LogicalType) -> bool:
    """Whether a column of the old type can have the new one and be the same column, whose files are read as they are."""
    if relaxed(type_of(old)) == relaxed(new):
        return True
    from pyiceberg.exceptions import ResolveError
    from pyiceberg.schema import promote

    try:
        return old.is_primitive and promote(old, _made(new)) == _made(new)
    except ResolveError:
        return False


def redefine(transaction: Transaction, target: Schema) -> None:
    """Give the table exactly these columns. One whose type cannot become the new one is another column of that name from
    now on, with an id of its own: whoever calls this then writes every row again.
    """
    known = {field.name: field.field_type for field in transaction.table_metadata.schema().fields}
    staying = {name for name, kind in known.items() if name in target and stays(kind, target[name].type)}
    changing = transaction.update_schema(allow_incompatible_changes=True)
    for name in known.keys() - staying:
        changing.delete_column((name,))
    for field in target:
        if field.name not in staying:
            changing.add_column((field.name,), _made(field.type))
        elif relaxed(type_of(known[field.name])) != relaxed(field.type):
            changing.update_column((field.name,), _made(field.type))
    changing.commit()


def _made(logical: LogicalType) -> IcebergType:
    return to_type(logical, count(1).__next__)
