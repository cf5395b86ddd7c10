"""Accounts from a REST service, page by page: `https://…` (`http://` on loopback only).

    GET {url}?status=active&page=1&page_size=1000
    Authorization: Bearer {ESG_ACCOUNTS_TOKEN}, if it is set

    200, application/json:
    {"accounts": [{"account_id": "00123", "account_name": "…",
                   "primary_esg_focus": "social", "last_modified": "2026-11-20T08:00:00Z"}, …],
     "page": 1, "pages": 7, "total": 6400, "as_of": "2026-11-24"}

Pages count from 1. `page` echoes the request; `pages`, `total` and `as_of` are the same on every
page, and the pages together hold exactly `total` accounts. `primary_esg_focus` and
`last_modified` may be null or absent; more fields do no harm. `as_of` may be absent; a list of a
day before today (Central) is refused. Redirects are never followed, and an answer that is not of
this form fails the load: a part of the list is never used.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any

import aiohttp
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from yarl import URL

from esg_pipeline.accounts.account_list import COLUMNS, account_batch, checked_accounts
from esg_pipeline.accounts.errors import AccountListError, AccountSourceError
from esg_pipeline.accounts.time_limit import CHECK_LIMIT_S, within
from esg_pipeline.clock import business_date, now_utc

PAGE_SIZE = 1000
MAX_PAGE_BYTES = 32 * 1024 * 1024
REDIRECTS = range(300, 400)
BUSY_STATUSES = (408, 425, 429, 500, 502, 503, 504)

Count = Annotated[int, Field(ge=0)]


class Page(BaseModel):
    """One answer of the service, its form checked strictly (a number in quotes is no number)."""

    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    accounts: list[dict[str, Any]]
    page: Count
    pages: Annotated[int, Field(ge=0, le=100_000)]
    total: Count
    as_of: date | None = None

    @property
    def edition(self) -> tuple[int, int, date | None]:
        """What is the same on every page of one list."""
        return self.pages, self.total, self.as_of


@dataclass(frozen=True)
class RestAccounts:
    """A REST service of accounts.

    aiohttp, because its total timeout bounds a whole answer, also one of a byte a second, and a
    compressed answer is counted while it is unpacked.

    Attributes:
        url: `https://…`, may hold query parameters of its own.
        token: Bearer token.
        page_timeout_s: One page, from connect to last byte.
        read_limit_s: Whole read.
        now: The wall clock, for the age of the list.
    """

    url: str
    token: SecretStr | None = None
    page_timeout_s: float = 60
    read_limit_s: float = 900
    now: Callable[[], datetime] = now_utc

    @property
    def where(self) -> str:
        """The service in words, without query parameters."""
        url = URL(self.url)
        return f"{url.origin()}{url.path}"

    def read_active_accounts(self) -> pa.Table:
        """See `AccountSource`."""
        return within(self.read_limit_s, lambda: asyncio.run(self._read()), where=self.where)

    def check(self) -> str:
        """See `AccountSource`."""
        return within(CHECK_LIMIT_S, lambda: asyncio.run(self._read_first()), where=self.where)

    async def _read(self) -> pa.Table:
        batches, first_row = [], 1
        async with self._session() as session:
            async for page in self._pages(session):
                columns = {name: [each.get(name) for each in page.accounts] for name in COLUMNS}
                rows = range(first_row, first_row + len(page.accounts))
                batches.append(account_batch(columns, rows))
                first_row += len(page.accounts)
        return checked_accounts(batches)

    async def _read_first(self) -> str:
        async with self._session() as session:
            page = await self._page(session, 1, page_size=1)
        return f"{self.where}: {page.total} active accounts"

    async def _pages(self, session: aiohttp.ClientSession) -> AsyncIterator[Page]:
        """Every page in turn; an error unless they are one whole list."""
        first = page = await self._page(session, 1)
        count = 0
        while True:
            count += len(page.accounts)
            yield page
            if page.page >= first.pages:
                break
            page = await self._page(session, page.page + 1)
            if page.edition != first.edition:
                raise AccountSourceError(
                    f"{self.where}: the list changed while it was read: (pages, total, as_of) was "
                    f"{_shown(first)} on page 1 and is {_shown(page)} on page {page.page}; read "
                    "it again",
                    retryable=True,
                )
        if count != first.total:
            raise AccountListError(
                f"{self.where} says it has {first.total} accounts and gave {count}; a part of the "
                "list is missing or repeated"
            )

    async def _page(
        self, session: aiohttp.ClientSession, number: int, *, page_size: int = PAGE_SIZE
    ) -> Page:
        asked = {"status": "active", "page": str(number), "page_size": str(page_size)}
        async with self._get(session, asked) as response:
            self._check_head(response)
            body = bytearray()
            async for chunk in response.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > MAX_PAGE_BYTES:
                    raise AccountListError(
                        f"page {number} of {self.where} is larger than {MAX_PAGE_BYTES} bytes"
                    )
        try:
            page = Page.model_validate_json(bytes(body))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(step) for step in first["loc"]) or "body"
            raise AccountListError(
                f"page {number} of {self.where} is not of the agreed form: {place}: {first['msg']}"
            ) from None
        if page.page != number:
            raise AccountListError(
                f"{self.where} gave page {page.page} when asked for page {number}"
            )
        today = business_date(self.now())
        if page.as_of is not None and page.as_of < today:
            raise AccountSourceError(
                f"{self.where}: the list is of {page.as_of}, older than today, {today}; see why "
                "the source was not brought up to date",
                retryable=True,
            )
        return page

    def _session(self) -> aiohttp.ClientSession:
        headers = {"Accept": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.get_secret_value()}"
        timeout = aiohttp.ClientTimeout(total=self.page_timeout_s)
        return aiohttp.ClientSession(headers=headers, timeout=timeout)

    @asynccontextmanager
    async def _get(
        self, session: aiohttp.ClientSession, asked: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to one request; what happens to the connection becomes an error of ours."""
        url = URL(self.url).update_query(asked)
        try:
            async with session.get(url, allow_redirects=False) as response:
                yield response
        except TimeoutError:
            raise AccountSourceError(
                f"{self.where}: no whole page within {self.page_timeout_s:g} s", retryable=True
            ) from None
        except aiohttp.ClientSSLError as error:
            raise AccountSourceError(
                f"{self.where}: its certificate is not trusted: {type(error).__name__}",
                retryable=False,
            ) from None
        except aiohttp.ClientError as error:
            cause = error.strerror if isinstance(error, aiohttp.ClientOSError) else None
            raise AccountSourceError(
                f"{self.where}: {cause or type(error).__name__}; see whether it is up",
                retryable=True,
            ) from None

    def _check_head(self, response: aiohttp.ClientResponse) -> None:
        """Refuse an answer that is no page, from its status and headers alone."""
        status = response.status
        if status in (401, 403):
            problem = "set ESG_ACCOUNTS_TOKEN to a token that may read the accounts"
        elif status in REDIRECTS:
            problem = "redirects are not followed; give the final address in ESG_ACCOUNTS_URL"
        elif status in BUSY_STATUSES:
            problem = "see whether it is up"
        elif status != HTTPStatus.OK:
            problem = "check ESG_ACCOUNTS_URL"
        elif response.content_type != "application/json":
            problem = f"the answer is {response.content_type}, not application/json"
        else:
            return
        raise AccountSourceError(
            f"{self.where}: HTTP {status}: {problem}", retryable=status in BUSY_STATUSES
        )


def _shown(page: Page) -> str:
    return f"({page.pages}, {page.total}, {page.as_of})"
