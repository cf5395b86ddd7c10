"""A wire tap: an HTTP server that passes everything on and writes it down."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

from esg_pipeline_tests.docs.openapi_document import Exchange


@dataclass
class Recorder:
    """Stands before a server; `url` of it leads there by way of the recorder."""

    origin: str
    exchanges: list[Exchange] = field(default_factory=list)
    port: int = 0

    def url(self, url: str) -> str:
        """The same address, by way of the recorder."""
        return url.replace(self.origin, f"http://127.0.0.1:{self.port}")


@contextmanager
def recording(origin: str) -> Iterator[Recorder]:
    """Record all exchanges with a server for as long as the block runs.

    Args:
        origin: `http://127.0.0.1:port`.
    """
    recorder = Recorder(origin)
    upstream = urlsplit(origin)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(upstream.netloc, timeout=30)
            try:
                connection.request(self.command, self.path, body or None, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            recorder.exchanges.append(
                Exchange(
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    body,
                    answer.status,
                    {name.lower(): value for name, value in answer.getheaders()},
                    content,
                )
            )
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = pass_on

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    recorder.port = server.server_port
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
