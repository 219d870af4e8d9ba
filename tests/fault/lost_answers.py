"""A network that loses the answer to COMMIT, or the COMMIT itself."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Literal


class Proxy:
    """Stands before a PostgreSQL server. Where it ``cuts`` the answer, both ends are cut once the server has carried out a
    COMMIT; where the question, before the server has heard of it, and then no more.
    """

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts: Literal["question", "answer"] | None = None
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            self._ends += [client, server]
            for source, sink, is_client in ((client, server, True), (server, client, False)):
                thread = threading.Thread(target=self._pass, args=(source, sink, is_client), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, is_client: bool) -> None:  # noqa: FBT001
        try:
            while data := source.recv(1 << 16):
                if not is_client and self.cuts == "answer" and data.startswith(b"C") and b"COMMIT" in data:
                    break
                if is_client and self.cuts == "question" and b"COMMIT" in data:
                    self.cuts = None
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()
