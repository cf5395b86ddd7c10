"""Checks that the API can be reached, for `esg-pipeline doctor`; asks for no account."""

import asyncio
import time

import aiohttp
from yarl import URL

from esg_pipeline.scoring.client import PLACEHOLDER
from esg_pipeline.scoring.credentials import open_credentials
from esg_pipeline.scoring.errors import ApiUnauthorized, ScoringStopped
from esg_pipeline.scoring.transport import open_session, untrusted
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
    url = URL((settings.api_url or "").replace(PLACEHOLDER, "-"))
    async with open_session(settings) as session:
        try:
            async with asyncio.timeout(settings.api_timeout):
                bearer = await open_credentials(session, settings).obtain()
            started_at = time.monotonic()
            async with session.head(
                url, headers={"Authorization": bearer.header}, allow_redirects=False
            ) as response:
                status = response.status
        except (aiohttp.ClientError, OSError) as error:
            if stop := untrusted(error, "ESG_API_URL"):
                raise stop from None
            raise ApiUnreachable(
                f"ESG_API_URL: no answer from {url.host}:{url.port} ({type(error).__name__})"
            ) from None
    if status in (401, 403):
        raise ApiUnauthorized(
            f"ESG_API_URL: {url.host}:{url.port} refuses our credentials (HTTP {status}). Check "
            "ESG_API_TOKEN or the ESG_API_OAUTH_… settings."
        )
    if status >= 500 and status != 501:  # noqa: PLR2004
        raise ApiUnreachable(f"ESG_API_URL: {url.host}:{url.port} answers HTTP {status}")
    took_ms = (time.monotonic() - started_at) * 1000
    return f"{url.host}:{url.port} answers (HTTP {status}, {took_ms:.0f} ms)"
