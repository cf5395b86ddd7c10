"""What `wire.py` uses of aiohttp below its session, which aiohttp promises to nobody.

A red test after an upgrade says what changed. Mend `wire.py`, then let pyproject.toml take the
new version.
"""

import ast
import asyncio
import importlib
import inspect
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from aiohttp.streams import StreamReader
from yarl import URL

from esg_pipeline.scoring.api.wire import Wire
from esg_pipeline_tests.scoring.raw_api import response

HANDLER = "aiohttp.client_proto.ResponseHandler"
CONNECTION = "aiohttp.connector.Connection"
READER = "aiohttp.streams.StreamReader"
MESSAGE = "aiohttp.http.RawResponseMessage"
TIMEOUT_S = 30
"""Only so that a changed aiohttp cannot hang the tests."""


@dataclass(frozen=True)
class Use:
    """One name as `wire.py` uses it.

    Attributes:
        arguments: How many it gives by position, when it calls it; None: it only reads it.
        keywords: What it gives by name.
        is_awaited: It awaits what the call gives.
    """

    name: str
    arguments: int | None = None
    keywords: frozenset[str] = frozenset()
    is_awaited: bool = False


def called(name: str, arguments: int, *keywords: str, is_awaited: bool = False) -> Use:
    return Use(name, arguments, frozenset(keywords), is_awaited)


USES = [
    called("aiohttp.ClientRequest", 2, "loop"),
    called("aiohttp.ClientTimeout", 0, "total"),
    called("aiohttp.TCPConnector", 0, "ssl", "limit", "ttl_dns_cache", "keepalive_timeout"),
    called("aiohttp.TCPConnector.connect", 4, is_awaited=True),
    called("aiohttp.TCPConnector.close", 1),
    Use("aiohttp.connector"),
    Use(CONNECTION),
    called(f"{CONNECTION}.close", 1),
    called(f"{CONNECTION}.release", 1),
    Use(f"{CONNECTION}.protocol"),
    Use(f"{CONNECTION}.transport"),
    Use(HANDLER),
    called(
        f"{HANDLER}.set_response_params", 1, "skip_payload", "read_until_eof", "auto_decompress"
    ),
    called(f"{HANDLER}.read", 1, is_awaited=True),
    Use(f"{HANDLER}.should_close"),
    Use(READER),
    called(f"{READER}.readany", 1, is_awaited=True),
    Use(f"{MESSAGE}.code"),
    Use(f"{MESSAGE}.headers"),
    Use("aiohttp.http.HttpProcessingError"),
    called("aiohttp.ServerDisconnectedError", 0),
    Use("aiohttp.ClientError"),
    Use("aiohttp.hdrs"),
    Use("aiohttp.hdrs.CONTENT_LENGTH"),
    Use("aiohttp.hdrs.CONTENT_ENCODING"),
]
BASES = [
    ("aiohttp.ServerDisconnectedError", "aiohttp.ClientError"),
    ("aiohttp.ClientPayloadError", "aiohttp.ClientError"),
    ("aiohttp.ClientConnectorError", "aiohttp.ClientError"),
    ("aiohttp.http.HttpProcessingError", "builtins.Exception"),
]
"""`wire.py` catches the second and means the first, too."""


def find(name: str) -> Any:
    """What a dotted name means."""
    module, rest = name, []
    while True:
        try:
            found = importlib.import_module(module)
            break
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            rest.insert(0, last)
    for part in rest:
        found = getattr(found, part)
    return found


def what_changed(use: Use) -> str | None:
    """In words, or None when aiohttp is as `wire.py` needs it."""
    whose = f"aiohttp {aiohttp.__version__}: {use.name}"
    try:
        found = find(use.name)
    except AttributeError:
        return f"{whose} is gone"
    if use.arguments is None:
        return None
    if not callable(found):
        return f"{whose} cannot be called any more"
    signature = inspect.signature(found)
    try:
        signature.bind(*[None] * use.arguments, **dict.fromkeys(use.keywords))
    except TypeError as error:
        return f"{whose} is called in another way, {error}: it is {signature} now"
    if use.is_awaited and not inspect.iscoroutinefunction(found):
        return f"{whose} is no coroutine any more"
    return None


@pytest.mark.parametrize("use", USES, ids=lambda use: use.name)
def test_aiohttp_has_what_the_wire_uses(use):
    assert what_changed(use) is None


@pytest.mark.parametrize(("error", "base"), BASES)
def test_an_error_of_aiohttp_is_caught_where_the_wire_catches_it(error, base):
    assert issubclass(find(error), find(base)), f"aiohttp: {error} is no {base} any more"


def needs_a_session(method, url, *, session, loop=None):
    """A `ClientRequest` as a later aiohttp might have it."""


def awaits_nothing(self):
    """A `read` as a later aiohttp might have it."""


@pytest.mark.parametrize(
    ("owner", "name", "later", "said"),
    [
        (aiohttp, "ClientRequest", needs_a_session, "missing a required argument: 'session'"),
        (ResponseHandler, "set_response_params", lambda self: None, "unexpected keyword argument"),
        (ResponseHandler, "read", awaits_nothing, "ResponseHandler.read is no coroutine any more"),
        (ResponseHandler, "should_close", None, "ResponseHandler.should_close is gone"),
        (StreamReader, "readany", True, "StreamReader.readany cannot be called any more"),
    ],
)
def test_a_change_in_aiohttp_is_named(monkeypatch, owner, name, later, said):
    if later is None:
        monkeypatch.delattr(owner, name)
    else:
        monkeypatch.setattr(owner, name, later)
    problems = [problem for use in USES if (problem := what_changed(use))]
    assert len(problems) == 1
    assert said in problems[0]
    assert problems[0].startswith(f"aiohttp {aiohttp.__version__}: ")


HOLDERS = {
    "aiohttp": "aiohttp",
    "aiohttp.connector": "aiohttp.connector",
    "hdrs": "aiohttp.hdrs",
    "self._connector": "aiohttp.TCPConnector",
    "connection": CONNECTION,
    "protocol": HANDLER,
    "payload": READER,
    "message": MESSAGE,
}
"""What of aiohttp the expressions in `wire.py` hold."""


def names_of_aiohttp(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiohttp"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and (holder := ast.unparse(node.value)) in HOLDERS:
            yield f"{HOLDERS[holder]}.{node.attr}"


def test_the_contract_names_what_the_wire_uses_and_no_more():
    tree = ast.parse(Path(inspect.getfile(Wire)).read_text(encoding="utf-8"))
    assert set(names_of_aiohttp(tree)) == {use.name for use in USES}


# ---- what no signature shows


Exchange = Callable[[bytes], Awaitable[aiohttp.connector.Connection]]


@asynccontextmanager
async def connected(sent: bytes, *, then_closes: bool = False) -> AsyncIterator[Exchange]:
    """A server that answers every request with the same bytes; gives connections to it."""

    serving = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        while await reader.readline() not in (b"", b"\r\n"):
            pass
        writer.write(sent)
        if not then_closes:
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with (
        asyncio.timeout(TIMEOUT_S),
        await asyncio.start_server(serve, "127.0.0.1", 0) as server,
    ):
        port = server.sockets[0].getsockname()[1]
        request = aiohttp.ClientRequest(
            "GET", URL(f"http://127.0.0.1:{port}/"), loop=asyncio.get_running_loop()
        )
        connector = aiohttp.TCPConnector(limit=1)

        async def send(method: bytes) -> aiohttp.connector.Connection:
            connection = await connector.connect(request, [], aiohttp.ClientTimeout(total=None))
            assert connection.protocol is not None
            assert connection.transport is not None
            connection.protocol.set_response_params(
                skip_payload=method == b"HEAD", read_until_eof=True, auto_decompress=False
            )
            connection.transport.write(method + b" / HTTP/1.1\r\n\r\n")
            return connection

        try:
            yield send
        finally:
            await connector.close()
            await asyncio.gather(*serving)


@pytest.mark.servers
async def test_a_response_is_its_head_and_a_payload_that_ends_with_nothing():
    async with connected(response(200, b"{}")) as send:
        connection = await send(b"GET")
        message, payload = await connection.protocol.read()
        assert (message.code, message.headers[hdrs.CONTENT_LENGTH]) == (200, "2")
        assert [await payload.readany(), await payload.readany()] == [b"{}", b""]
        connection.release()


@pytest.mark.servers
async def test_a_connection_is_used_again_once_its_response_is_read():
    async with connected(response(200, b"{}")) as send:
        connection = await send(b"GET")
        transport = connection.transport
        _, payload = await connection.protocol.read()
        assert await payload.readany() == b"{}"
        assert not connection.protocol.should_close
        connection.release()
        again = await send(b"GET")
        assert again.transport is transport
        again.close()


@pytest.mark.servers
async def test_a_connection_whose_response_was_not_read_is_not_used_again():
    async with connected(response(200, b"{}", {"Content-Length": "3"})) as send:
        connection = await send(b"GET")
        transport = connection.transport
        await connection.protocol.read()
        assert connection.protocol.should_close
        connection.release()
        again = await send(b"GET")
        assert again.transport is not transport
        again.close()


@pytest.mark.servers
async def test_a_response_to_head_has_no_body_to_wait_for():
    async with connected(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n") as send:
        connection = await send(b"HEAD")
        _, payload = await connection.protocol.read()
        assert await payload.readany() == b""
        connection.release()


@pytest.mark.servers
async def test_a_compressed_body_stays_as_it_was_sent():
    body = zlib.compress(b"{}")
    async with connected(response(200, body, {"Content-Encoding": "deflate"})) as send:
        connection = await send(b"GET")
        _, payload = await connection.protocol.read()
        assert await payload.readany() == body
        connection.release()


@pytest.mark.servers
async def test_a_body_without_a_length_ends_with_the_connection():
    async with connected(b"HTTP/1.1 200 OK\r\n\r\n{}", then_closes=True) as send:
        connection = await send(b"GET")
        _, payload = await connection.protocol.read()
        assert [await payload.readany(), await payload.readany()] == [b"{}", b""]
        connection.close()


@pytest.mark.servers
async def test_a_body_that_is_cut_off_raises():
    sent = response(200, b"{}", {"Content-Length": "3"})
    async with connected(sent, then_closes=True) as send:
        connection = await send(b"GET")
        _, payload = await connection.protocol.read()
        with pytest.raises(aiohttp.ClientError):
            while await payload.readany():
                pass
        connection.close()


@pytest.mark.servers
async def test_what_is_not_http_raises():
    async with connected(b"SSH-2.0-OpenSSH_9.2\r\n\r\n") as send:
        connection = await send(b"GET")
        with pytest.raises(HttpProcessingError):
            await connection.protocol.read()
        connection.close()
