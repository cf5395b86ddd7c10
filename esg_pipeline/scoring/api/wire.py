"""One request, one response: the bytes of a call over a kept connection.

aiohttp opens the connections, speaks TLS and parses; its `ClientSession` is left out on purpose.
So there is nothing that could follow a redirect, keep a cookie, read a proxy setting or repeat a
request on its own, and a call takes a third of the processor's time. What a response means is not
known here.
"""

import asyncio
import time
import zlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from aiohttp.streams import StreamReader
from yarl import URL

from esg_pipeline import __version__
from esg_pipeline.scoring.api.tls import tls_context
from esg_pipeline.settings import Settings

MAX_BODY_BYTES = 1024 * 1024
"""Most bytes of a body, on the wire and decoded (docs/design.md#bounds)."""
MAX_IGNORED_BYTES = 64 * 1024
"""Most bytes of an error's body that are read so that its connection can be used again."""
DELAYED_FROM_S = 0.001
KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which common servers close an idle connection (docs/faults.md#c7)."""
DNS_CACHE_S = 30

HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"esg-pipeline/{__version__}",
}


def open_connector(settings: Settings, connections: int) -> aiohttp.TCPConnector:
    """Open a pool of kept connections. To be called inside the event loop that will use it."""
    return aiohttp.TCPConnector(
        ssl=tls_context(settings),
        limit=connections,
        ttl_dns_cache=DNS_CACHE_S,
        keepalive_timeout=KEEPALIVE_S,
    )


class Response:
    """A response, read to its end.

    Attributes:
        body: Decoded; None when it cannot be used, and `problem` says why.
        is_cut: The connection ended before the body did.
    """

    __slots__ = ("body", "headers", "is_cut", "problem", "status")

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.body: bytes | None = None
        self.problem = ""
        self.is_cut = False


class NotHttp(aiohttp.ClientError):
    """What came back is no HTTP response."""


class Wire:
    """The connections to one server. An async context manager.

    Args:
        settings: Concurrency, timeout and the CA file.
        url: Of the server; its path does not matter.
        on_delayed: Called with the number of a call that left late, because its connection had
            to be opened first.
    """

    def __init__(
        self, settings: Settings, url: URL, on_delayed: Callable[[int], None] = lambda _: None
    ) -> None:
        self._connector = open_connector(settings, settings.api_max_concurrency)
        loop = asyncio.get_running_loop()
        self._connect_to = aiohttp.ClientRequest("GET", url, loop=loop)
        self._no_timeout = aiohttp.ClientTimeout(total=None)
        self._timeout_s = settings.api_timeout
        self._on_delayed = on_delayed
        host = url.host_port_subcomponent
        lines = {"Host": host, **HEADERS}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connector.close()

    def head(self, authorization: str, more: str = "") -> str:
        """The header lines of a request, all but `Content-Length` and the last empty line.

        Raises:
            ValueError: the authorization cannot be sent in a header.
        """
        if not (authorization.isascii() and authorization.isprintable()):
            raise ValueError("the token holds characters that no HTTP header can carry")
        return f"{self._head}Authorization: {authorization}\r\n{more}"

    async def exchange(self, request: bytes, number: int, *, is_head: bool = False) -> Response:
        """Send a request, once, and read its response.

        Args:
            request: All its bytes.
            number: The pacer's number of this call.
            is_head: The response to it has no body.

        Raises:
            TimeoutError: connecting, sending and reading took longer than the timeout in all.
            NotHttp: what came back is not HTTP.
            aiohttp.ClientError: no connection, or it ended before the response's head.
        """
        async with asyncio.timeout(self._timeout_s):
            connection = await self._connect(number)
            try:
                response = await self._converse(connection, request, is_head)
            except BaseException:
                connection.close()
                raise
            if response.body is None:
                connection.close()
            else:
                connection.release()
        if response.body is not None and hdrs.CONTENT_ENCODING in response.headers:
            _decode(response)
        return response

    async def _connect(self, number: int) -> aiohttp.connector.Connection:
        asked_at = time.monotonic()
        while True:
            connection = await self._connector.connect(self._connect_to, [], self._no_timeout)
            protocol = connection.protocol
            # A kept connection on which something came unasked must not answer the next call.
            if protocol is not None and not protocol.should_close:
                break
            connection.close()
        if time.monotonic() - asked_at > DELAYED_FROM_S:
            self._on_delayed(number)
        return connection

    async def _converse(
        self, connection: aiohttp.connector.Connection, request: bytes, is_head: bool
    ) -> Response:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(
            skip_payload=is_head, read_until_eof=True, auto_decompress=False
        )
        transport.write(request)
        response, payload = await _read_head(protocol)
        is_answer = 200 <= response.status < 300  # noqa: PLR2004
        limit = MAX_BODY_BYTES if is_answer else MAX_IGNORED_BYTES
        try:
            await _read_body(response, payload, limit)
        except aiohttp.ClientError:
            response.is_cut = True
            response.problem = "the body was cut off"
        return response


async def _read_head(protocol: ResponseHandler) -> tuple[Response, StreamReader]:
    while True:
        try:
            message, payload = await protocol.read()
        except HttpProcessingError as error:
            raise NotHttp from error
        if message.code >= 200 or message.code == 101:  # noqa: PLR2004 - else: the real one follows
            return Response(message.code, message.headers), payload


async def _read_body(response: Response, payload: StreamReader, limit: int) -> None:
    """Read the body as sent, unless it is larger than the limit."""
    length = response.headers.get(hdrs.CONTENT_LENGTH)
    chunks: list[bytes] = []
    size = 0 if length is None else int(length)
    while size <= limit:
        chunk = await payload.readany()
        if not chunk:
            response.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            return
        chunks.append(chunk)
        if length is None:
            size += len(chunk)
    response.problem = f"the body is larger than {limit} bytes"


def _decode(response: Response) -> None:
    body = response.body or b""
    response.body = None
    match response.headers[hdrs.CONTENT_ENCODING].strip().lower():
        case "" | "identity":
            response.body = body
        case "gzip" | "x-gzip":
            _inflate(response, body, 16 + zlib.MAX_WBITS)
        case "deflate":
            # RFC 9110 means the zlib format; some servers send the bare deflate stream.
            is_zlib = body[:1] == b"\x78" and int.from_bytes(body[:2]) % 31 == 0
            _inflate(response, body, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        case _:
            response.problem = "the body is in an encoding that was not asked for"


def _inflate(response: Response, raw: bytes, wbits: int) -> None:
    inflater = zlib.decompressobj(wbits)
    try:
        body = inflater.decompress(raw, MAX_BODY_BYTES + 1)
    except zlib.error:
        response.problem = "the compressed body is broken"
        return
    if len(body) > MAX_BODY_BYTES:
        response.problem = f"the decoded body is larger than {MAX_BODY_BYTES} bytes"
    elif not inflater.eof or inflater.unused_data:
        response.problem = "the compressed body is cut off or followed by something else"
    else:
        response.body = body
