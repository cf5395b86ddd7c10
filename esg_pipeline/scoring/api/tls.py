"""TLS of every connection to the API and its token endpoint: who is trusted, and who is not.

No certificate that does not verify is ever trusted.
"""

import ssl

import aiohttp

from esg_pipeline.scoring.errors import ApiUntrusted
from esg_pipeline.settings import Settings

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


def tls_context(settings: Settings) -> ssl.SSLContext | bool:
    """The context of all connections; True, aiohttp's own verifying one, when none needs TLS."""
    urls = (settings.api_url, settings.api_oauth_token_url)
    if not any(url is not None and url.lower().startswith("https:") for url in urls):
        return True
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.api_ca_file is not None:
        context.load_verify_locations(cafile=settings.api_ca_file)
    return context


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
