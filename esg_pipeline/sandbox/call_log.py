"""The oracle: what the API was really asked, call by call, and what it sent.

The pipeline's own counters prove nothing about rate limits and attempts; these do. Kept in
arrays, about 50 bytes a call, so that a million calls fit.
"""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b

from esg_pipeline.sandbox.rate_limit import WINDOW_S

NO_ACCOUNT = ""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call, as the server saw it.

    Attributes:
        at: Arrival, seconds of the machine's monotonic clock (`time.monotonic`).
        wall: Arrival, Unix time.
        account_id: Empty when the request was not understood or not let in.
        analysis_date: ISO date asked for, None when not understood.
        status: HTTP status that was sent; 0 when the caller left before it was known.
        fault: The fault that was played, None for a right answer.
        over_limit: Told to slow down by the rate limit or the concurrency cap.
        connection: Number of the connection, from 1; 0 when it was gone before the call was read.
        body_hash: BLAKE2b of the request body, 8 bytes, hexadecimal.
        authorized: The Authorization header was right.
    """

    at: float
    wall: float
    account_id: str
    analysis_date: str | None
    status: int
    fault: str | None
    over_limit: bool
    connection: int
    body_hash: str
    authorized: bool


@dataclass(frozen=True, slots=True)
class CallCounts:
    """All calls in numbers.

    Attributes:
        total: All calls.
        accounts: Accounts that were asked about.
        most_per_account: Most calls for one account.
        max_in_a_second: Most calls in any sliding second, refused ones too.
        over_limit: Calls told to slow down by the rate limit or the concurrency cap.
        unauthorized: Calls without a right Authorization header.
        in_flight: Calls not answered yet.
        in_flight_peak: Most calls in flight at once.
        connections: Connections that brought a call.
        by_status: Calls by the status sent.
        by_fault: Calls by the fault played.
        strays: Requests that followed a redirect to another origin.
        strays_with_token: Those of them that brought an Authorization header.
        token_requests: Requests to the OAuth token endpoint; they are not calls.
        tokens_issued: Tokens it gave.
    """

    total: int
    accounts: int
    most_per_account: int
    max_in_a_second: int
    over_limit: int
    unauthorized: int
    in_flight: int
    in_flight_peak: int
    connections: int
    by_status: Mapping[str, int]
    by_fault: Mapping[str, int]
    strays: int
    strays_with_token: int
    token_requests: int
    tokens_issued: int


class CallLog:
    """Records calls in order of arrival.

    `arrive` gives the row of a call; the other methods add to that row what is learnt later.

    Attributes:
        strays, strays_with_token, token_requests, tokens_issued: As in `CallCounts`.
    """

    def __init__(self) -> None:
        self.strays = 0
        self.strays_with_token = 0
        self.token_requests = 0
        self.tokens_issued = 0
        self._at = array("d")
        self._wall = array("d")
        self._account = array("I")
        self._day = array("I")
        self._status = array("H")
        self._fault = array("H")
        self._over_limit = array("B")
        self._connection = array("I")
        self._body_hash = array("Q")
        self._authorized = array("B")
        self._account_numbers: dict[str, int] = {NO_ACCOUNT: 0}
        self._fault_numbers: dict[str | None, int] = {None: 0}
        self._second_start = 0
        self._max_in_a_second = 0
        self._in_flight = 0
        self._in_flight_peak = 0
        self._milestones: dict[int, asyncio.Event] = {}

    def __len__(self) -> int:
        return len(self._at)

    def arrive(self, connection: int, now: float) -> int:
        """Record that a call arrived at `now` (monotonic seconds); give its row."""
        self._at.append(now)
        self._wall.append(time.time())
        self._connection.append(connection)
        for column in (self._account, self._day, self._status, self._fault, self._body_hash):
            column.append(0)
        self._over_limit.append(0)
        self._authorized.append(0)
        while self._at[self._second_start] <= now - WINDOW_S:
            self._second_start += 1
        self._max_in_a_second = max(self._max_in_a_second, len(self) - self._second_start)
        self._in_flight += 1
        self._in_flight_peak = max(self._in_flight_peak, self._in_flight)
        if milestone := self._milestones.pop(len(self), None):
            milestone.set()
        return len(self) - 1

    def authorize(self, row: int) -> None:
        """Note that the call had a right Authorization header."""
        self._authorized[row] = 1

    def refuse(self, row: int) -> None:
        """Note that the call was told to slow down."""
        self._over_limit[row] = 1

    def hash_body(self, row: int, body: bytes) -> None:
        """Note the hash of the request's body."""
        self._body_hash[row] = int.from_bytes(blake2b(body, digest_size=8).digest())

    def identify(self, row: int, account_id: str, analysis_date: date) -> None:
        """Note whom the call is about."""
        numbers = self._account_numbers
        self._account[row] = numbers.setdefault(account_id, len(numbers))
        self._day[row] = analysis_date.toordinal()

    def play(self, row: int, fault: str) -> None:
        """Note that a fault is played on the call."""
        self._fault[row] = self._fault_numbers.setdefault(fault, len(self._fault_numbers))

    def answer(self, row: int, status: int) -> None:
        """Note the status that is sent."""
        self._status[row] = status

    def leave(self) -> None:
        """Note that a call is over, answered or not."""
        self._in_flight -= 1

    @property
    def in_flight(self) -> int:
        """Calls not over yet."""
        return self._in_flight

    async def reached(self, calls: int) -> None:
        """Return as soon as so many calls have arrived."""
        if len(self) < calls:
            await self._milestones.setdefault(calls, asyncio.Event()).wait()

    def calls(self) -> Iterator[RecordedCall]:
        """Give the calls that have arrived by now, in order of arrival."""
        accounts, faults = list(self._account_numbers), list(self._fault_numbers)
        for row in range(len(self)):
            day = self._day[row]
            yield RecordedCall(
                at=self._at[row],
                wall=self._wall[row],
                account_id=accounts[self._account[row]],
                analysis_date=date.fromordinal(day).isoformat() if day else None,
                status=self._status[row],
                fault=faults[self._fault[row]],
                over_limit=bool(self._over_limit[row]),
                connection=self._connection[row],
                body_hash=f"{self._body_hash[row]:016x}",
                authorized=bool(self._authorized[row]),
            )

    def calls_by_account(self) -> dict[str, int]:
        """Count the calls for each account."""
        accounts = list(self._account_numbers)
        counts = Counter(self._account)
        del counts[0]
        return {accounts[number]: count for number, count in counts.items()}

    def counts(self) -> CallCounts:
        """Give the calls in numbers."""
        by_account = self.calls_by_account()
        faults = list(self._fault_numbers)
        return CallCounts(
            total=len(self),
            accounts=len(by_account),
            most_per_account=max(by_account.values(), default=0),
            max_in_a_second=self._max_in_a_second,
            over_limit=sum(self._over_limit),
            unauthorized=len(self) - sum(self._authorized),
            in_flight=self._in_flight,
            in_flight_peak=self._in_flight_peak,
            connections=len(set(self._connection)),
            by_status={str(status): count for status, count in Counter(self._status).items()},
            by_fault={
                name: count
                for number, count in Counter(self._fault).items()
                if (name := faults[number]) is not None
            },
            strays=self.strays,
            strays_with_token=self.strays_with_token,
            token_requests=self.token_requests,
            tokens_issued=self.tokens_issued,
        )
