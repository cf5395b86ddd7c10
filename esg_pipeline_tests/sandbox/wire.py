"""A client that reads what really came over the wire, and how the connection ended."""

import http.client
import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from esg_pipeline.sandbox import Sandbox

DAY = "2026-11-24"
ENDED = "ended"
RESET = "reset"
SILENT = "silent"


@dataclass(frozen=True)
class WireAnswer:
    """The bytes of one answer, and whether the peer ended, reset or kept the connection."""

    head: str
    body: bytes
    ending: str

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    def header(self, name: str) -> str | None:
        for line in self.head.splitlines()[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None

    @property
    def json(self) -> dict:
        return json.loads(self.body)


def request_body(account_id: str, day: str = DAY, focus: str | None = None) -> bytes:
    fields = {"portfolio_id": account_id, "analysis_date": day}
    return json.dumps(fields | ({"primary_esg_focus": focus} if focus else {})).encode()


def send(sandbox: Sandbox, account_id: str = "A1", focus: str | None = None) -> socket.socket:
    """Send one call and leave the answer to be read."""
    url = urlsplit(sandbox.api_url)
    body = request_body(account_id, focus=focus)
    peer = socket.create_connection((url.hostname, url.port))
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n"
        f"Authorization: Bearer {sandbox.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    peer.sendall(head.encode() + body)
    return peer


def receive(peer: socket.socket, *, patience_s: float = 5.0) -> WireAnswer:
    """Read until the peer ends, resets, or says nothing for so long; then hang up."""
    received, ending = bytearray(), ENDED
    peer.settimeout(patience_s)
    with peer:
        try:
            while piece := peer.recv(1 << 20):
                received += piece
        except ConnectionResetError:
            ending = RESET
        except TimeoutError:
            ending = SILENT
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    return WireAnswer(head.decode(), body, ending)


def ask_on_the_wire(sandbox: Sandbox, account_id: str = "A1", **details) -> WireAnswer:
    return receive(send(sandbox, account_id, details.pop("focus", None)), **details)


class Caller:
    """One kept connection to the API."""

    def __init__(self, sandbox: Sandbox, token: str | None = None) -> None:
        url = urlsplit(sandbox.api_url)
        self.path = url.path
        self.token = sandbox.token if token is None else token
        self.connection = http.client.HTTPConnection(url.netloc, timeout=5)

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict]:
        headers = {"Authorization": f"Bearer {self.token}"}
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read() or "{}")

    def post(self, account_id: str = "A1", **details) -> tuple[int, dict]:
        return self.request("POST", self.path, request_body(account_id, **details))
