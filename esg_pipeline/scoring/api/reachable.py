"""Checks that the API can be reached, for `esg-pipeline doctor`; asks for no account."""

import asyncio
import time

import aiohttp
from yarl import URL

from esg_pipeline.scoring.api.client import NO_ACCOUNT, PLACEHOLDER
from esg_pipeline.scoring.api.credentials import open_credentials
from esg_pipeline.scoring.api.tls import untrusted
from esg_pipeline.scoring.api.wire import Wire
from esg_pipeline.scoring.errors import ApiUnauthorized, ScoringStopped
from esg_pipeline.settings import Settings


class ApiUnreachable(ScoringStopped):
    """The API gave no answer, or only one of an outage."""


def check_api(settings: Settings) -> str:
    """Make one HEAD request with our credentials, and none for an account.

    Returns:
        One line for an operator. It proves name, route, TLS and that something answers; whether
        the token is good only when the server says so by refusing it.

    Raises:
        ApiUnauthorized, ApiUntrusted, ApiUnreachable: one line, without secrets.
    """
    return asyncio.run(_check(settings))


async def _check(settings: Settings) -> str:
    url = URL((settings.api_url or "").replace(PLACEHOLDER, NO_ACCOUNT))
    where = f"{url.host}:{url.port}"
    async with Wire(settings, url) as wire, open_credentials(settings) as credentials:
        try:
            async with asyncio.timeout(settings.api_timeout):
                bearer = await credentials.obtain()
            started_at = time.monotonic()
            request = f"HEAD {url.raw_path_qs} HTTP/1.1\r\n{wire.head(bearer.header)}\r\n"
            response = await wire.exchange(request.encode(), 0, is_head=True)
        except (aiohttp.ClientError, OSError) as error:
            if stop := untrusted(error, "ESG_API_URL"):
                raise stop from None
            raise ApiUnreachable(
                f"ESG_API_URL: no answer from {where} ({type(error).__name__})"
            ) from None
    status = response.status
    if status in (401, 403):
        raise ApiUnauthorized(
            f"ESG_API_URL: {where} refuses our credentials (HTTP {status}). Check ESG_API_TOKEN "
            "or the ESG_API_OAUTH_… settings."
        )
    if status >= 500 and status != 501:  # noqa: PLR2004
        raise ApiUnreachable(f"ESG_API_URL: {where} answers HTTP {status}")
    took_ms = (time.monotonic() - started_at) * 1000
    said = f"{where} answers (HTTP {status}, {took_ms:.0f} ms)"
    if status >= 300:  # noqa: PLR2004 - many APIs know no HEAD
        said += "; whether path and token are right shows only when an account is asked"
    return said
