"""LOAD DATA LOCAL as the protocol has it: the server asks for a file by name, and takes packets until an empty one.

The driver would open the file that the server names, whichever that is; here nothing is opened, and what is sent are the
rows. Whatever a value lacks to fit its column is a warning to the server, since it cannot stop who sends: who loads asks
for the warnings afterwards.
Source: MariaDB documentation, "LOCAL_INFILE Packet"; MySQL, "Security Considerations for LOAD DATA LOCAL".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.connectors.mariadb.sql import Sql


class Load:
    """One LOAD DATA LOCAL INFILE, begun when made. The connection serves nothing else until ``finish``.

    Raises what the driver raises.
    """

    def __init__(self, connection: Any, statement: Sql) -> None:
        from pymysql.constants import COMMAND
        from pymysql.err import OperationalError

        self._wire = connection
        self._bytes = 0
        self._wire._execute_command(COMMAND.COM_QUERY, statement)  # noqa: SLF001 -- as the module says
        if not self._wire._read_packet().is_load_local_packet():  # noqa: SLF001
            raise OperationalError(2027, "the server asked for no rows")

    def send(self, piece: memoryview) -> None:
        """Less than 16 MiB."""
        self._wire.write_packet(piece)
        self._bytes += len(piece)

    def finish(self) -> tuple[int, int]:
        """The end of the rows; how many the server took, and how many bytes they were."""
        self._wire.write_packet(b"")
        answer = self._wire._read_packet()  # noqa: SLF001
        answer.advance(1)  # that it is well
        return int(answer.read_length_encoded_integer()), self._bytes
