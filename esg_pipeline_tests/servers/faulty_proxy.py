"""An HTTP proxy on 127.0.0.1 that answers 503 or 403, cuts uploads and downloads, and remembers.

It stands in front of an S3 server. A fault is decided for each request by a function of the test.
"""

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Message


class Cut(Enum):
    """Where the connection breaks."""

    AT_ONCE = "before anything is passed on"
    UPLOAD = "when 60 % of the request body has come"
    DOWNLOAD = "when half of the answer's body is sent"
    ANSWER = "when the server has done its work, before the answer"


@dataclass(frozen=True)
class S3Error:
    """An error as S3 answers it."""

    status: int
    code: str

    def body(self) -> bytes:
        return f"<Error><Code>{self.code}</Code><Message>told by a test</Message></Error>".encode()


Fault = S3Error | Cut | None


@dataclass
class FaultyProxy:
    """`fault` decides for each request; `drop_headers` are taken out of every request."""

    endpoint: str
    requests: list[Request] = field(default_factory=list)
    fault: Callable[[Request], Fault] = lambda _: None
    drop_headers: set[str] = field(default_factory=set)


@contextmanager
def run_faulty_proxy(upstream: str, ca_file: Path | None = None) -> Iterator[FaultyProxy]:
    """A proxy in front of `upstream` (its URL)."""
    target = urlsplit(upstream)
    context = ssl.create_default_context(cafile=ca_file) if target.scheme == "https" else None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # one packet for head and body

        def forward(self) -> None:
            request = Request(self.command, self.path, self.headers)
            proxy.requests.append(request)
            fault = proxy.fault(request)
            length = int(self.headers.get("Content-Length", 0))
            if fault is Cut.AT_ONCE:
                return self.cut()
            body = self.rfile.read(length * 6 // 10 if fault is Cut.UPLOAD else length)
            if fault is Cut.UPLOAD:
                return self.cut()
            if isinstance(fault, S3Error):
                return self.answer(fault.status, [], fault.body())
            status, headers, content = self.ask_upstream(body)
            if fault is Cut.ANSWER:
                return self.cut()
            return self.answer(status, headers, content, cut=fault is Cut.DOWNLOAD)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

        def setup(self) -> None:
            super().setup()
            # One connection to the server for each of the client's.
            if context is None:
                self.upstream = http.client.HTTPConnection(target.netloc, timeout=30)
            else:
                self.upstream = http.client.HTTPSConnection(
                    target.netloc, timeout=30, context=context
                )

        def finish(self) -> None:
            self.upstream.close()
            super().finish()

        def handle_expect_100(self) -> bool:
            going_on = super().handle_expect_100()
            self.wfile.flush()
            return going_on

        def ask_upstream(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in proxy.drop_headers | {"expect", "connection"}
            }
            self.upstream.request(self.command, self.path, body, headers)
            answer = self.upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()

        def answer(
            self, status: int, headers: list[tuple[str, str]], content: bytes, cut: bool = False
        ) -> None:
            self.send_response_only(status)
            kept = [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
            for name, value in kept:
                self.send_header(name, value)
            if self.command != "HEAD" and "content-length" not in {n.lower() for n, _ in kept}:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self.cut()

        def cut(self) -> None:
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Silent; `requests` remembers."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that went away is part of the play."""

    server = Server(("127.0.0.1", 0), Handler)
    proxy = FaultyProxy(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}
