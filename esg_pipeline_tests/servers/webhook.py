"""A real HTTP or HTTPS server on 127.0.0.1 that keeps each request's JSON and answers as told.

with WebhookServer() as server:
    …            # ESG_ALERT_URLS=json://127.0.0.1:{server.port}/hook
    server.requests
"""

import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class ReceivedRequest:
    """One request that was answered with success."""

    path: str
    headers: Mapping[str, str]
    body: Any


class WebhookServer:
    """One server.

    Attributes:
        requests: What was answered with success, in order.
        status: What each request is answered with; None hangs until the server ends.
        location: The Location header of a redirect.
        attempts: Requests that came in, however they were answered.
    """

    def __init__(self, context: ssl.SSLContext | None = None, status: int = 200) -> None:
        self.requests: list[ReceivedRequest] = []
        self.status: int | None = status
        self.location: str | None = None
        self.attempts = 0
        self._arrived = threading.Condition()
        self._stopped = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer._handle(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                pass  # a client that refuses our certificate is part of the tests

        self._server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def answer_to(self, request: ReceivedRequest) -> Any:
        """The JSON body of a success."""
        return {"status": "success"}

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[ReceivedRequest]:
        """Wait until so many requests were answered with success; return them."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.requests) >= count, timeout_s), (
                f"{len(self.requests)} of {count} requests came in {timeout_s} s"
            )
            return list(self.requests)

    def wait_for_attempt(self, timeout_s: float = 10.0) -> None:
        """Wait until a request came in."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.attempts > 0, timeout_s), "nobody came"

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self._arrived:
            self.attempts += 1
            self._arrived.notify_all()
        if self.status is None:
            self._stopped.wait()
            return
        answer: Any = {"status": "no"}
        if self.status < 300:
            request = ReceivedRequest(handler.path, dict(handler.headers), json.loads(body))
            answer = self.answer_to(request)
            with self._arrived:
                self.requests.append(request)
                self._arrived.notify_all()
        payload = json.dumps(answer).encode()
        handler.send_response(self.status)
        if self.location is not None:
            handler.send_header("Location", self.location)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(payload)))
        handler.end_headers()
        handler.wfile.write(payload)

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
