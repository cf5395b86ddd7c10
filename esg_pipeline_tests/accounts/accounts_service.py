"""An account service on a socket that a test can make right or wrong in one respect."""

import json
import ssl
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, dict[str, str], bytes | Iterator[bytes]]
"""Status, headers, and the body, whole or piece by piece."""


class AccountsService:
    """Serves `accounts` in pages, as the contract says.

    Attributes:
        accounts: All accounts.
        page_limit: Most accounts on one page, whatever the client asks for.
        extra: Fields added to each page.
        change_page: Changes a page before it is sent.
        answer: If set, answers in place of the pages; gets the page number.
        requests: What came: path, query and headers.
        let_go: Set at the end; an answer that hangs waits for it.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.accounts: list[dict[str, Any]] = []
        self.page_limit = 1000
        self.extra: dict[str, Any] = {}
        self.change_page: Callable[[dict[str, Any]], None] = lambda page: None
        self.answer: Callable[[int], Answer] | None = None
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.let_go = Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                service.requests.append((parts.path, query, dict(self.headers)))
                number = int(query.get("page", "1"))
                status, headers, body = (service.answer or service.page)(number)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    for piece in [body] if isinstance(body, bytes) else body:
                        self.wfile.write(piece)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client had enough

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http{'s' if tls else ''}://{self.host}/accounts"

    def page(self, number: int) -> Answer:
        """The page as the contract says, after `change_page`."""
        start = (number - 1) * self.page_limit
        page: dict[str, Any] = {
            "accounts": self.accounts[start : start + self.page_limit],
            "page": number,
            "pages": -(-len(self.accounts) // self.page_limit),
            "total": len(self.accounts),
        } | self.extra
        self.change_page(page)
        return 200, {"Content-Type": "application/json"}, json.dumps(page).encode()

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
