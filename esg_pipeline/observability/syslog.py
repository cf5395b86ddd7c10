"""Log records to a syslog server over TLS: RFC 5424 messages in the frames of RFC 5425.

The standard library's handler speaks neither; this one opens a connection when it has something
to send, proves the server's certificate, and never blocks for longer than its timeout.
"""

import logging
import os
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

PORT = 6514
TIMEOUT_S = 5.0
FACILITY = 16
"""local0 (RFC 5424 §6.2.1)."""
APP_NAME = "esg_pipeline"
NOTHING = "-"


class TlsSyslog:
    """A connection to one syslog server, opened anew when it broke.

    Args:
        url: `syslog+tls://host[:port]`.
        ca_file: PEM file of the CA of its certificate; None for the system's.
    """

    def __init__(self, url: str, ca_file: Path | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or PORT
        self._ca_file = ca_file
        self._hostname = socket.gethostname() or NOTHING
        self._connection: ssl.SSLSocket | None = None

    def write(self, record: logging.LogRecord) -> None:
        """Send one record.

        Raises:
            OSError: no connection, or its certificate is not trusted.
        """
        if self._connection is not None and _is_gone(self._connection):
            self._drop()
        if self._connection is None:
            self._connection = self._connect()
        message = self._message(record)
        try:
            self._connection.sendall(b"%d %b" % (len(message), message))
        except OSError:
            self._drop()
            raise

    def close(self) -> None:
        """Say goodbye, so that the server knows that nothing is missing (RFC 5425 §4.4)."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.unwrap()
            self._drop()

    def _connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self._ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        plain = socket.create_connection((self._host, self._port), timeout=TIMEOUT_S)
        try:
            return context.wrap_socket(plain, server_hostname=self._host)
        except OSError:
            plain.close()
            raise

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _message(self, record: logging.LogRecord) -> bytes:
        sent_at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        header = (
            f"<{FACILITY * 8 + _severity(record.levelno)}>1",
            sent_at.replace("+00:00", "Z"),
            self._hostname,
            APP_NAME,
            str(os.getpid()),
            NOTHING,
            NOTHING,
        )
        return f"{' '.join(header)} {record.msg}".encode()


def _severity(level: int) -> int:
    """RFC 5424 §6.2.1: 2 critical, 3 error, 4 warning, 6 informational, 7 debug."""
    for at_least, severity in (
        (logging.CRITICAL, 2),
        (logging.ERROR, 3),
        (logging.WARNING, 4),
        (logging.INFO, 6),
    ):
        if level >= at_least:
            return severity
    return 7


def _is_gone(connection: ssl.SSLSocket) -> bool:
    """Whether the server has closed; it never sends anything, so any end is news."""
    try:
        connection.settimeout(0)
        return connection.recv(1) == b""
    except ssl.SSLWantReadError:
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(TIMEOUT_S)
