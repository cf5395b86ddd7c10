"""A TCP proxy before PostgreSQL that can swallow the answer to a COMMIT and break the connection.

The client then does not know whether its transaction was committed. It was.
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class CuttingProxy:
    """Forwards 127.0.0.1:`port` to the server's port."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._armed = threading.Event()
        self._cut = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def cut_after_commit(self) -> None:
        """Swallow the answer to the next COMMIT."""
        self._armed.set()

    @property
    def has_cut(self) -> bool:
        return self._cut.is_set()

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for each in self._sockets:
            _break(each)
        for thread in self._threads[1:]:
            thread.join()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):  # shut down at the end
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                self._sockets += [client, server]
                cutting = threading.Event()
                for pump in (self._to_server, self._to_client):
                    thread = threading.Thread(target=pump, args=(client, server, cutting))
                    self._threads.append(thread)
                    thread.start()

    def _to_server(
        self, client: socket.socket, server: socket.socket, cutting: threading.Event
    ) -> None:
        with suppress(OSError):
            while sent := client.recv(65536):
                if b"COMMIT" in sent and self._armed.is_set():
                    self._armed.clear()
                    cutting.set()
                server.sendall(sent)
        _break(server)

    def _to_client(
        self, client: socket.socket, server: socket.socket, cutting: threading.Event
    ) -> None:
        with suppress(OSError):
            while answer := server.recv(65536):
                if cutting.is_set():
                    self._cut.set()
                    break
                client.sendall(answer)
        _break(client)


def _break(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
