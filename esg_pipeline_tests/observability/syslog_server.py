"""A syslog server over TLS that reads RFC 5425 frames and keeps the messages."""

import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme


class SyslogServer:
    """Listens on 127.0.0.1; its certificate is for `localhost`, from a CA of its own.

    Attributes:
        messages: RFC 5424 messages, in the order of arrival.
        port: Where it listens.
    """

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "syslog-ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self._context)
        self.messages: queue.Queue[bytes] = queue.Queue()
        self.handshake_errors: queue.Queue[ssl.SSLError] = queue.Queue()
        self.said_goodbye = threading.Event()
        self._connections: list[ssl.SSLSocket] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"syslog+tls://localhost:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Refuse new connections and cut those there are."""
        assert self._listener is not None
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                try:
                    connection = self._context.wrap_socket(plain, server_side=True)
                except ssl.SSLError as error:
                    self.handshake_errors.put(error)
                    continue
                self._connections.append(connection)
                threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: ssl.SSLSocket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as stream:
            while length := _frame_length(stream):
                self.messages.put(stream.read(length))
            self.said_goodbye.set()


def _frame_length(stream) -> int:
    """MSG-LEN SP of RFC 5425 §4.3; 0 at the end."""
    digits = b""
    while (byte := stream.read(1)) not in (b" ", b""):
        digits += byte
    return int(digits) if digits else 0


@contextmanager
def run_syslog(folder: Path) -> Iterator[SyslogServer]:
    server = SyslogServer(folder)
    try:
        yield server
    finally:
        with suppress(OSError):
            server.stop()
