"""Names of what is put in the place of a node whose rejected rows are sent again.

::

    ice.rejected                the read of the rows as they are kept
    ice.repaired                their columns with the values that the repair gives them
    ice.repaired.schema.check   whether these are values of the node's columns
    ice                         the rows, from here on as in any other epoch
"""

from __future__ import annotations

from typing import Final

SOURCE: Final = "@rejects"  # no document can name a source so
_READ: Final = ".rejected"
REPAIRED: Final = "repaired"
_REPAIRED: Final = f".{REPAIRED}"
CHECK: Final = ".schema.check"


def read_id(entry: str) -> str:
    return f"{entry}{_READ}"


def is_read(node: str) -> bool:
    return node.endswith(_READ)


def repaired_id(entry: str) -> str:
    return f"{entry}{_REPAIRED}"


def node_of(rejecting: str) -> str:
    """The document's node that a reject is of: a row that was sent again may have been rejected on its way back to it.

    >>> node_of("ice.repaired.schema.check"), node_of("ice.rejected"), node_of("prices.rules")
    ('ice', 'ice', 'prices.rules')
    """
    return rejecting.removesuffix(f"{_REPAIRED}{CHECK}").removesuffix(_READ)


def rejecting_ids(node: str) -> tuple[str, ...]:
    """All names under which rows of the node may have been rejected."""
    return (node, read_id(node), f"{repaired_id(node)}{CHECK}")
