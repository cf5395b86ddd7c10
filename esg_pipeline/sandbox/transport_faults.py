"""Faults of the transport: answers that come late, in part, or never.

Each keeps what it sends short, so that a client that misjudges it still ends.
"""

import asyncio
import socket
import struct

from aiohttp import web

from esg_pipeline.sandbox.call import JSON_TYPE, Call, answer_rightly

DRIP_PAUSE_S = 1.0
ARRIVAL_S = 0.02
"""Time for the first half to reach the client before the connection is cut, seconds."""

LINGER_OFF_SEND_RST = struct.pack("ii", 1, 0)


class AlreadySent(web.StreamResponse):
    """Stands for an answer that a fault wrote by hand; aiohttp must add nothing to it."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send no head."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Send no end."""


async def hang(call: Call) -> web.StreamResponse:
    """Never answer; ends when the client leaves, which cancels it."""
    never: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()
    return await never


async def answer_late(call: Call) -> web.StreamResponse:
    """Wait `slow_s`, then answer rightly."""
    await asyncio.sleep(call.slow_s)
    return await answer_rightly(call)


async def drip(call: Call) -> web.StreamResponse:
    """Send the right answer one byte a second, so that a read timeout never fires."""
    body = call.right_body()
    response = web.StreamResponse(
        headers={"Content-Type": JSON_TYPE, "Content-Length": str(len(body))}
    )
    await response.prepare(call.request)
    for position in range(len(body)):
        await response.write(body[position : position + 1])
        await asyncio.sleep(DRIP_PAUSE_S)
    return response


async def reset_mid_body(call: Call) -> web.StreamResponse:
    """Send half of the answer, then a TCP reset."""
    body = call.right_body()
    _write(call, _head(f"Content-Length: {len(body)}") + _first_half(body))
    await asyncio.sleep(ARRIVAL_S)
    transport = _transport(call)
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_OFF_SEND_RST)
    transport.abort()
    return _sent_and_closed()


async def cut_with_length(call: Call) -> web.StreamResponse:
    """End the connection after half of the announced Content-Length."""
    body = call.right_body()
    _write(call, _head(f"Content-Length: {len(body)}") + _first_half(body))
    return _sent_and_closed()


async def cut_without_length(call: Call) -> web.StreamResponse:
    """End the connection after half of an answer that only its end delimits.

    To HTTP this is a whole body; only the JSON in it is half.
    """
    _write(call, _head("Connection: close") + _first_half(call.right_body()))
    return _sent_and_closed()


async def cut_chunk(call: Call) -> web.StreamResponse:
    """End the connection in the middle of a chunk of a chunked answer."""
    body = call.right_body()
    chunk = f"{len(body):x}\r\n".encode() + _first_half(body)
    _write(call, _head("Transfer-Encoding: chunked") + chunk)
    return _sent_and_closed()


async def answer_then_close(call: Call) -> web.StreamResponse:
    """Answer rightly, then close a connection that was promised to stay open."""
    body = call.right_body()
    _write(call, _head(f"Content-Length: {len(body)}") + body)
    return _sent_and_closed()


def _transport(call: Call) -> asyncio.Transport:
    transport = call.request.transport
    if transport is None:
        raise ConnectionResetError("the client left before the answer")
    return transport


def _write(call: Call, data: bytes) -> None:
    _transport(call).write(data)


def _head(header: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {JSON_TYPE}\r\n{header}\r\n\r\n".encode()


def _first_half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _sent_and_closed() -> AlreadySent:
    response = AlreadySent()
    response.force_close()
    return response
