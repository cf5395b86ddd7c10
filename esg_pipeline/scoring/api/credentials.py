"""The Authorization header of each call: a fixed token, or OAuth client credentials (RFC 6749).

A token is fetched when it is first needed, renewed before it ends, and once when the API refuses
it; however many workers ask, there is one request. Tokens never reach a log or an error text.
"""

import asyncio
import logging
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import jiter
from pydantic import SecretStr

from esg_pipeline.safe_text import register_secret
from esg_pipeline.scoring.api.tls import untrusted
from esg_pipeline.scoring.api.wire import HEADERS, open_connector
from esg_pipeline.scoring.errors import ApiUnauthorized
from esg_pipeline.settings import Settings

log = logging.getLogger("esg_pipeline.scoring")

RENEW_BEFORE_S = 60.0
RENEW_BEFORE_SHARE = 0.2
RENEW_ON_401_EVERY_S = 300.0
RETRY_FIRST_S = 0.5
RETRY_MAX_S = 30.0
MAX_TOKEN_ANSWER_BYTES = 64 * 1024
REFUSED = (400, 401, 403)


class NoToken(Exception):
    """The token endpoint answered, but gave no token this time."""


@dataclass(frozen=True, slots=True, repr=False)
class Bearer:
    """A token as a header value; its number tells older from newer ones."""

    header: str
    number: int


class FixedToken:
    """The token of `ESG_API_TOKEN`; there is never a newer one."""

    def __init__(self, token: str) -> None:
        self.ready: Bearer | None = Bearer(f"Bearer {token}", 0)
        self._bearer = self.ready

    async def obtain(self) -> Bearer:
        """The token."""
        return self._bearer

    def refused(self, bearer: Bearer) -> bool:
        """Take note of a 401; False: there is no newer token to try."""
        return False


class OAuthToken:
    """A token of the client-credentials grant, kept fresh."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._clock = clock
        self._url = settings.api_oauth_token_url or ""
        self._client_id = settings.api_oauth_client_id or ""
        self._secret = settings.api_oauth_client_secret or SecretStr("")
        self._scope = {"scope": settings.api_oauth_scope} if settings.api_oauth_scope else {}
        self._bearer: Bearer | None = None
        self._renew_at = 0.0
        self._expires_at = 0.0
        self._renewed_on_401_at = -RENEW_ON_401_EVERY_S
        self._fetching = asyncio.Lock()
        self._in_body = False

    @property
    def ready(self) -> Bearer | None:
        """The token, if it can be used without waiting."""
        now = self._clock()
        # While someone renews a token that is still good, the others go on with it.
        usable_until = self._expires_at if self._fetching.locked() else self._renew_at
        return self._bearer if now < usable_until else None

    async def obtain(self) -> Bearer:
        """The token, fetched if need be; waits until the token endpoint gives one.

        Raises:
            ApiUnauthorized: the token endpoint refuses the client.
            ApiUntrusted: the token endpoint did not prove who it is.
        """
        async with self._fetching:
            delay = RETRY_FIRST_S
            while True:
                now = self._clock()
                if self._bearer is not None and now < self._renew_at:
                    return self._bearer
                try:
                    return await self._fetch()
                except (aiohttp.ClientError, OSError, NoToken) as error:
                    if stop := untrusted(error, "ESG_API_OAUTH_TOKEN_URL"):
                        raise stop from None
                    why = error if isinstance(error, NoToken) else type(error).__name__
                    log.warning("token endpoint: no token (%s); trying again", why)
                if self._bearer is not None and self._clock() < self._expires_at:
                    self._renew_at = min(self._expires_at, self._clock() + delay)
                    return self._bearer
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MAX_S)

    def refused(self, bearer: Bearer) -> bool:
        """Take note of a 401; True: a newer token is there or will be fetched."""
        if self._bearer is None or bearer.number < self._bearer.number:
            return True
        if self._expires_at == 0.0:
            return True
        now = self._clock()
        if now < self._renewed_on_401_at + RENEW_ON_401_EVERY_S:
            return False
        log.warning("the API refused the token; fetching a new one")
        self._renewed_on_401_at = now
        self._renew_at = self._expires_at = 0.0
        return True

    async def _fetch(self) -> Bearer:
        asked_at = self._clock()
        status, body = await self._request()
        if status in REFUSED:
            # Servers differ in where they take the client's credentials from (RFC 6749 §2.3.1).
            self._in_body = not self._in_body
            status, body = await self._request()
        if status in REFUSED:
            raise ApiUnauthorized(
                f"ESG_API_OAUTH_TOKEN_URL refuses the client (HTTP {status}). Check "
                "ESG_API_OAUTH_CLIENT_ID and ESG_API_OAUTH_CLIENT_SECRET."
            )
        if status != 200:  # noqa: PLR2004
            raise NoToken(f"HTTP {status}")
        token, lifetime_s = _read_token(body)
        register_secret(token)
        number = 1 if self._bearer is None else self._bearer.number + 1
        self._bearer = Bearer(f"Bearer {token}", number)
        self._expires_at = asked_at + lifetime_s
        margin = min(RENEW_BEFORE_S, RENEW_BEFORE_SHARE * lifetime_s)
        self._renew_at = self._expires_at - margin
        return self._bearer

    async def _request(self) -> tuple[int, bytes]:
        form = {"grant_type": "client_credentials", **self._scope}
        headers = {}
        secret = self._secret.get_secret_value()
        if self._in_body:
            form |= {"client_id": self._client_id, "client_secret": secret}
        else:
            pair = f"{quote_plus(self._client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        async with self._session.post(
            self._url, data=form, headers=headers, allow_redirects=False
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_TOKEN_ANSWER_BYTES:
                    raise NoToken("the answer is too large")
            return response.status, bytes(body)


def _read_token(body: bytes) -> tuple[str, float]:
    """Token and lifetime in seconds; without `expires_in`, only a 401 ends it."""
    try:
        answer: Any = jiter.from_json(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise NoToken("the answer is not a JSON object")
    token, lifetime_s = answer.get("access_token"), answer.get("expires_in")
    if not (isinstance(token, str) and token and token.isascii() and token.isprintable()):
        raise NoToken("the answer has no usable access_token")
    if isinstance(lifetime_s, bool) or not isinstance(lifetime_s, int | float) or lifetime_s <= 0:
        return token, float("inf")
    return token, float(lifetime_s)


Credentials = FixedToken | OAuthToken


@asynccontextmanager
async def open_credentials(settings: Settings) -> AsyncIterator[Credentials]:
    """The credentials that the settings name; `Settings.require_for_run` has checked them."""
    if settings.api_oauth_token_url is None:
        yield FixedToken(settings.api_token.get_secret_value() if settings.api_token else "")
        return
    async with aiohttp.ClientSession(
        connector=open_connector(settings, connections=1),
        headers=HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=settings.api_timeout),
    ) as session:
        yield OAuthToken(session, settings)
