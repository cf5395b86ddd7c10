"""A real mail server on 127.0.0.1 that keeps what it gets, with STARTTLS, login and faults.

    with MailServer(tls=authority) as server:
        …            # settings with server.url
        server.received

`server.fault` plays a bad day: `"busy"` answers 451 to each message, `"refuse"` answers 554.
`SilentServer` is one that hangs.
"""

import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any, Self

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "pipeline", "mail-password-canary"


@dataclass(frozen=True)
class ReceivedMail:
    """One accepted message: what the envelope said, and the message itself."""

    recipients: tuple[str, ...]
    message: EmailMessage
    over_tls: bool

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content())

    @property
    def html(self) -> str:
        part = self.message.get_body(("html",))
        assert part is not None
        return str(part.get_content())


class MailServer:
    """One mail server; `stop` and `start` on the same port play an outage.

    Attributes:
        received: Accepted messages, in order.
        fault: None, "busy" or "refuse"; may be changed at any time.
        refused_recipients: Addresses answered with 550.
        offered: Messages that were offered, accepted or not.
    """

    def __init__(
        self,
        *,
        tls: trustme.CA | None = None,
        implicit_tls: bool = False,
        login: bool = True,
        certificate_for: str = "127.0.0.1",
    ) -> None:
        self.received: list[ReceivedMail] = []
        self.fault: str | None = None
        self.refused_recipients: set[str] = set()
        self.offered = 0
        self._arrived = threading.Condition()
        self._context = None if tls is None else server_context(tls, certificate_for)
        self._implicit_tls = implicit_tls
        self._login = login
        self._controller: Controller | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        scheme = "smtps" if self._implicit_tls else "smtp"
        user = f"{USER}:{PASSWORD}@" if self._login else ""
        return f"{scheme}://{user}127.0.0.1:{self.port}"

    def start(self) -> None:
        starttls = None if self._implicit_tls else self._context
        self._controller = _Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=self._context if self._implicit_tls else None,
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=self._login,
            authenticator=self._authenticate if self._login else None,
        )
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[ReceivedMail]:
        """Wait until so many messages were accepted; return them."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.received) >= count, timeout_s), (
                f"{len(self.received)} of {count} mails came in {timeout_s} s"
            )
            return list(self.received)

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any
    ) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and (
            data.login == USER.encode() and data.password == PASSWORD.encode()
        )
        return AuthResult(success=is_right, handled=False)

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.refused_recipients:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        self.offered += 1
        if self.fault == "busy":
            return "451 try again later"
        if self.fault == "refuse":
            return "554 transaction failed"
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        over_tls = session.ssl is not None or self._implicit_tls
        with self._arrived:
            self.received.append(ReceivedMail(tuple(envelope.rcpt_tos), mail, over_tls))
            self._arrived.notify_all()
        return "250 accepted"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Controller(Controller):
    """aiosmtpd's controller, probing its own start over plain TCP also with implicit TLS."""

    def _trigger_server(self) -> None:
        with socket.create_connection((self.hostname, self.port), timeout=5):
            pass


class SilentServer:
    """Accepts connections on a port and never says a word, or a byte in a while (`drip`)."""

    def __init__(self, *, drip: bool = False) -> None:
        self.connections = 0
        self._connected = threading.Event()
        self._stopped = threading.Event()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer.connections += 1
                outer._connected.set()
                while not outer._stopped.wait(0.2):
                    if drip:
                        try:
                            self.request.sendall(b"2")
                        except OSError:
                            return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def wait_for_connection(self, timeout_s: float = 10.0) -> None:
        """Wait until somebody connects."""
        assert self._connected.wait(timeout_s), "nobody connected"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """A server's TLS, with a certificate of the test's own authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
