"""Faults of the body: statuses, types, encodings and sizes a client must refuse to trust.

Most of them carry the right answer inside, so that a client that is fooled is found out by a
rating where none should be. Memory stays small: the bombs are streamed from shared pieces.
"""

import asyncio
import gzip
import re
import zlib
from functools import cache

from aiohttp import web

from esg_pipeline.sandbox.call import (
    JSON_TYPE,
    AnswerFunction,
    Call,
    respond,
    respond_error,
)

PLAIN_BOMB_BYTES = 10_000_000
GZIP_BOMB_BYTES = 300_000_000
PIECE = b" " * 1_000_000
DEEP_LEVELS = 100_000
BIG_ERROR_BYTES = 5_000_000
RAW_DEFLATE = -zlib.MAX_WBITS
GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""RFC 1952 §2.3: deflate, no name, no time."""

BOMB_START = b'{"padding": "'
HTML = b"<!DOCTYPE html><html><body><h1>Please sign in</h1></body></html>"


def error_status(status: int, message: str) -> AnswerFunction:
    """Make a fault that answers with an error status and a JSON body."""

    async def answer(call: Call) -> web.StreamResponse:
        return respond_error(status, message)

    return answer


async def throttle(call: Call) -> web.StreamResponse:
    """429 with the throttle headers (Retry-After by default)."""
    return respond_error(429, "too many requests", call.throttle_headers)


async def gateway_page(call: Call) -> web.StreamResponse:
    """502 with an HTML page, as a proxy writes it."""
    return respond(b"<html><h1>502 Bad Gateway</h1></html>", status=502, content_type="text/html")


async def echo_token(call: Call) -> web.StreamResponse:
    """500 whose body repeats the Authorization header."""
    authorization = call.request.headers.get("Authorization", "")
    return respond_error(500, f"upstream refused header Authorization: {authorization}")


async def big_error(call: Call) -> web.StreamResponse:
    """500 with a body of 5 MB."""
    return respond(b"x" * BIG_ERROR_BYTES, status=500, content_type="text/plain")


async def redirect(call: Call) -> web.StreamResponse:
    """307 to another origin, which counts who comes."""
    return web.Response(
        status=307, headers={"Location": call.elsewhere_url + call.request.raw_path}
    )


async def html(call: Call) -> web.StreamResponse:
    """200 with an HTML sign-in page."""
    return respond(HTML, content_type="text/html; charset=utf-8")


async def empty(call: Call) -> web.StreamResponse:
    """200 with no body."""
    return respond(b"")


async def no_content(call: Call) -> web.StreamResponse:
    """204."""
    return web.Response(status=204)


async def text_plain(call: Call) -> web.StreamResponse:
    """The right JSON, called text/plain."""
    return respond(call.right_body(), content_type="text/plain; charset=utf-8")


async def utf16(call: Call) -> web.StreamResponse:
    """The right JSON in UTF-16; Python's json would read it."""
    return respond(call.right_body().decode().encode("utf-16"))


async def byte_order_mark(call: Call) -> web.StreamResponse:
    """The right JSON after a UTF-8 byte order mark (RFC 8259 §8.1 forbids it)."""
    return respond(b"\xef\xbb\xbf" + call.right_body())


async def brotli(call: Call) -> web.StreamResponse:
    """The right JSON in a coding the client did not ask for."""
    return respond(_stored_brotli(call.right_body()), headers={"Content-Encoding": "br"})


async def double_gzip(call: Call) -> web.StreamResponse:
    """The right JSON, compressed twice, declared once."""
    body = gzip.compress(gzip.compress(call.right_body()))
    return respond(body, headers={"Content-Encoding": "gzip"})


async def deep_json(call: Call) -> web.StreamResponse:
    """The right answer plus one field nested 100,000 deep."""
    nested = b'"deep": ' + b"[" * DEEP_LEVELS + b"]" * DEEP_LEVELS + b", "
    return respond(b"{" + nested + call.right_body()[1:])


async def plain_bomb(call: Call) -> web.StreamResponse:
    """The right answer after 10 MB of padding."""
    end = b'", ' + call.right_body()[1:]
    size = len(BOMB_START) + PLAIN_BOMB_BYTES + len(end)
    response = web.StreamResponse(headers={"Content-Type": JSON_TYPE, "Content-Length": str(size)})
    await response.prepare(call.request)
    await response.write(BOMB_START)
    for _ in range(PLAIN_BOMB_BYTES // len(PIECE)):
        await response.write(PIECE)
    await response.write(end)
    return response


async def gzip_bomb(call: Call) -> web.StreamResponse:
    """The right answer after 300 MB of padding, by gzip some 300 kB."""
    start, crc = await asyncio.to_thread(_gzip_padding)
    end = b'", ' + call.right_body()[1:]
    deflate = zlib.compressobj(wbits=RAW_DEFLATE)
    size = len(BOMB_START) + GZIP_BOMB_BYTES + len(end)
    trailer = zlib.crc32(end, crc).to_bytes(4, "little") + size.to_bytes(4, "little")
    body = start + deflate.compress(end) + deflate.flush() + trailer
    return respond(body, headers={"Content-Encoding": "gzip"})


@cache
def _gzip_padding() -> tuple[bytes, int]:
    """The start of the bomb, compressed, and the CRC of its plain bytes; made once.

    A full flush forgets what came before, so one compressed piece can be repeated.
    """
    deflate = zlib.compressobj(level=9, wbits=RAW_DEFLATE)
    start = deflate.compress(BOMB_START) + deflate.flush(zlib.Z_FULL_FLUSH)
    piece = deflate.compress(PIECE) + deflate.flush(zlib.Z_FULL_FLUSH)
    pieces = GZIP_BOMB_BYTES // len(PIECE)
    crc = zlib.crc32(BOMB_START)
    for _ in range(pieces):
        crc = zlib.crc32(PIECE, crc)
    return GZIP_HEAD + start + piece * pieces, crc


def _stored_brotli(body: bytes) -> bytes:
    """Frame bytes as one uncompressed Brotli meta-block and an empty last one (RFC 7932 §9.2)."""
    # From the lowest bit: window 16 (0), not last (0), 4 nibbles (00), length - 1, stored (1).
    head = ((len(body) - 1) << 4) | (1 << 20)
    return head.to_bytes(3, "little") + body + b"\x03"


def with_overall_as(literal: str) -> AnswerFunction:
    """Make a fault that writes `literal`, unquoted, where the overall score belongs."""

    async def answer(call: Call) -> web.StreamResponse:
        body = re.sub(
            rb'("overall_esg_score": )[^,}]+', rb"\g<1>" + literal.encode(), call.right_body()
        )
        return respond(body)

    return answer


async def doubled_key(call: Call) -> web.StreamResponse:
    """The overall score twice, first wrong, then right."""
    twice = call.right_body().replace(
        b'"overall_esg_score"', b'"overall_esg_score": 1, "overall_esg_score"'
    )
    return respond(twice)
