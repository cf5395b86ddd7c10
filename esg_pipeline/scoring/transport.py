"""How bytes travel: the one HTTP session, bounded bodies, and what a transport error means.

It follows no redirect, keeps no cookie, reads no proxy setting, trusts no certificate that does
not verify, and repeats nothing: retries are the engine's alone.
"""

import errno
import ssl
import time
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from esg_pipeline import __version__
from esg_pipeline.scoring.errors import ApiUntrusted
from esg_pipeline.settings import Settings

MAX_BODY_BYTES = 1024 * 1024
"""Most bytes of a body, on the wire and decoded (DESIGN §7)."""
MAX_IGNORED_BYTES = 64 * 1024
"""Most bytes of an error's body that are read so that its connection can be used again."""
KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which common servers close an idle connection (FAULTS C7)."""
DNS_CACHE_S = 30
DELAYED_FROM_S = 0.001

HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"esg-pipeline/{__version__}",
}

_LOCAL_ERRORS = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EADDRNOTAVAIL,
}
_TLS_REFUSALS = {
    "CERTIFICATE_VERIFY_FAILED",
    "UNSUPPORTED_PROTOCOL",
    "WRONG_VERSION_NUMBER",
    "WRONG_SSL_VERSION",
    "NO_PROTOCOLS_AVAILABLE",
    "NO_SHARED_CIPHER",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV1_ALERT_INSUFFICIENT_SECURITY",
    "DH_KEY_TOO_SMALL",
    "EE_KEY_TOO_SMALL",
    "CA_KEY_TOO_SMALL",
    "CA_MD_TOO_WEAK",
}


class Connector(aiohttp.TCPConnector):
    """A connector that tells when a call had to wait for its connection to be opened.

    Such a call leaves later than the pacer let it go, which the pacer has to know.
    """

    def __init__(self, *, on_delayed: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self._on_delayed = on_delayed

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Give a connection, new or kept."""
        asked_at = time.monotonic()
        connection = await super().connect(*args, **kwargs)
        if time.monotonic() - asked_at > DELAYED_FROM_S:
            self._on_delayed()
        return connection


def open_session(
    settings: Settings, *, on_delayed: Callable[[], None] = lambda: None
) -> aiohttp.ClientSession:
    """Open the session of a run. To be called inside the event loop that will use it."""
    connector = Connector(
        on_delayed=on_delayed,
        ssl=_tls_context(settings),
        limit=settings.api_max_concurrency + 1,  # one for the token endpoint
        ttl_dns_cache=DNS_CACHE_S,
        keepalive_timeout=KEEPALIVE_S,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        headers=HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
        # A total bounds a slow drip too, which a read timeout does not.
        timeout=aiohttp.ClientTimeout(total=settings.api_timeout),
        auto_decompress=False,
        trust_env=False,
    )
    # aiohttp repeats a GET on a kept connection that was closed: a retry nobody would count.
    if not hasattr(session, "_retry_connection"):
        raise RuntimeError("this version of aiohttp cannot be kept from repeating calls")
    session._retry_connection = False
    return session


def _tls_context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.api_ca_file is not None:
        context.load_verify_locations(cafile=settings.api_ca_file)
    return context


class UnreadableBody(Exception):
    """A body that is too big, cut, or in an encoding that was not asked for."""


async def read_body(response: aiohttp.ClientResponse) -> bytes:
    """Read and decode a body within its bounds.

    Raises:
        UnreadableBody: the connection must not be used again.
        TimeoutError: the call's time is over.
    """
    try:
        raw = await _read_raw(response)
    except aiohttp.ClientError as error:
        raise UnreadableBody("the body was cut off") from error
    if raw is None:
        raise UnreadableBody(f"the body is larger than {MAX_BODY_BYTES} bytes")
    encoding = response.headers.get("Content-Encoding")
    return raw if encoding is None else _decode(raw, encoding.strip().lower())


async def _read_raw(response: aiohttp.ClientResponse, limit: int = MAX_BODY_BYTES) -> bytes | None:
    """The body as sent, or None if it is larger than the limit."""
    length = response.content_length
    if length is not None:
        return await response.read() if length <= limit else None
    chunks, size = [], 0
    while chunk := await response.content.readany():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _decode(raw: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity"):
        return raw
    if encoding in ("gzip", "x-gzip"):
        return _inflate(raw, 16 + zlib.MAX_WBITS)
    if encoding == "deflate":
        # RFC 9110 means the zlib format; some servers send the bare deflate stream.
        is_zlib = (
            len(raw) > 1 and raw[0] & 0x0F == zlib.DEFLATED and not (raw[0] * 256 + raw[1]) % 31
        )
        return _inflate(raw, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
    raise UnreadableBody("the body is in an encoding that was not asked for")


def _inflate(raw: bytes, wbits: int) -> bytes:
    inflater = zlib.decompressobj(wbits)
    try:
        body = inflater.decompress(raw, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise UnreadableBody("the compressed body is broken") from error
    if len(body) > MAX_BODY_BYTES:
        raise UnreadableBody(f"the decoded body is larger than {MAX_BODY_BYTES} bytes")
    if not inflater.eof or inflater.unused_data:
        raise UnreadableBody("the compressed body is cut off or followed by something else")
    return body


async def ignore_body(response: aiohttp.ClientResponse) -> None:
    """Read past a short body, so that the connection can be used again; else close it."""
    if await _quietly(_read_raw(response, MAX_IGNORED_BYTES)) is None:
        response.close()


async def _quietly(reading: Awaitable[bytes | None]) -> bytes | None:
    try:
        return await reading
    except (aiohttp.ClientError, TimeoutError):
        return None


def is_local_shortage(error: BaseException) -> bool:
    """Whether the machine ran out of sockets, ports or buffers: nothing was sent."""
    return isinstance(error, aiohttp.ClientConnectorError) and error.errno in _LOCAL_ERRORS


def untrusted(error: BaseException, setting: str) -> ApiUntrusted | None:
    """The error that stops the run, if TLS failed for a reason that a retry cannot cure."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause: BaseException | None = error.certificate_error
    elif isinstance(error, aiohttp.ClientConnectorSSLError):
        cause = error.os_error
    else:
        return None
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = cause.verify_message or "certificate verify failed"
    elif isinstance(cause, ssl.SSLError) and cause.reason in _TLS_REFUSALS:
        why = cause.reason.lower().replace("_", " ")
    elif isinstance(cause, ssl.CertificateError):
        why = "the certificate is for another host"
    else:
        return None
    return ApiUntrusted(
        f"{setting}: TLS with {error.host} failed, nothing was sent: {why}. If the server is the "
        "right one, have its certificate renewed, or set ESG_API_CA_FILE to its CA."
    )
