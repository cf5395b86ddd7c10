"""What all HTTP of the engine shares: connections, TLS, and what a transport error means.

No certificate that does not verify is trusted and no proxy setting of the environment is read.
"""

import errno
import ssl

import aiohttp

from esg_pipeline import __version__
from esg_pipeline.scoring.errors import ApiUntrusted
from esg_pipeline.settings import Settings

KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which common servers close an idle connection (docs/faults.md#c7)."""
DNS_CACHE_S = 30

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


def open_connector(settings: Settings, connections: int) -> aiohttp.TCPConnector:
    """Open a pool of kept connections. To be called inside the event loop that will use it."""
    return aiohttp.TCPConnector(
        ssl=_tls_context(settings),
        limit=connections,
        ttl_dns_cache=DNS_CACHE_S,
        keepalive_timeout=KEEPALIVE_S,
    )


def _tls_context(settings: Settings) -> ssl.SSLContext | bool:
    """The context of all connections; True, aiohttp's own verifying one, when none needs TLS."""
    urls = (settings.api_url, settings.api_oauth_token_url)
    if not any(url is not None and url.lower().startswith("https:") for url in urls):
        return True
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.api_ca_file is not None:
        context.load_verify_locations(cafile=settings.api_ca_file)
    return context


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
