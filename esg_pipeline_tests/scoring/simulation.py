"""A run of the engine in simulated time: no socket, no thread, and hours pass in a moment.

The event loop never waits: when nothing can run, its time jumps to the next timer. What is real is
the engine; the clocks, the API and the checkpoint are the simulation's, so a seed gives the same
run again.
"""

import asyncio
import random
import selectors
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from esg_pipeline.ledger import RateShare
from esg_pipeline.ratings import ACCOUNTS_SCHEMA, Focus, ProcessingStatus, Rating, Reason
from esg_pipeline.scoring import ScoringOutcome
from esg_pipeline.scoring.api.answer import Answer
from esg_pipeline.scoring.api.call import CallOutcome, CallResult
from esg_pipeline.scoring.api.credentials import FixedToken
from esg_pipeline.scoring.engine import Engine
from esg_pipeline.scoring.run_time import RunTime
from esg_pipeline.settings import Settings
from esg_pipeline_tests.scoring.checkpoints import MemoryCheckpoint

BEGIN = datetime(2026, 11, 24, 11, tzinfo=UTC)
GOOD = Answer(ProcessingStatus.SUCCESSFUL, overall=7268, analysis_date=date(2026, 11, 24))


class _JumpingSelector(selectors.SelectSelector):
    """Never waits: moves the time on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen again: everybody waits for everybody")
        self.now += max(0.0, timeout)
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the simulation's."""

    def __init__(self) -> None:
        self._selector_of_time = _JumpingSelector()
        super().__init__(self._selector_of_time)

    def time(self) -> float:
        return self._selector_of_time.now


@dataclass
class SimulatedCheckpoint:
    """Hands over to a checkpoint in memory, which may be away, at once.

    Attributes:
        error: Why it has ended for good.
    """

    kept: MemoryCheckpoint
    error: BaseException | None = None
    _ratings: list[Rating] = field(default_factory=list)
    _failed: list[tuple[str, int, str]] = field(default_factory=list)
    _refunded: list[str] = field(default_factory=list)

    @property
    def is_away(self) -> bool:
        return self.kept.is_away

    @property
    def backlog(self) -> int:
        return len(self._ratings) + len(self._failed) + len(self._refunded)

    def notify(self, loop: asyncio.AbstractEventLoop, on_change: Callable[[], None]) -> None:
        self._on_change = on_change

    async def begin(self, account_ids: list[str]) -> None:
        self.flush()
        self.kept.begin_attempts(account_ids)

    def add(self, rating: Rating) -> None:
        self._ratings.append(rating)

    def add_failed(self, account_id: str, attempts: int, reason: Reason) -> None:
        self._failed.append((account_id, attempts, reason.value))

    def add_refund(self, account_id: str) -> None:
        self._refunded.append(account_id)

    def flush(self) -> None:
        self.kept.record(self._ratings, self._failed, self._refunded)
        self._ratings, self._failed, self._refunded = [], [], []
        self._on_change()


@dataclass
class SimulatedApi:
    """A model of the API: what it says of a call is decided by `answer`, from account and time.

    Attributes:
        calls: (seconds since the begin, account id) of each call.
    """

    answer: Callable[[str, float], CallResult]
    takes_s: float = 0.1
    calls: list[tuple[float, str]] = field(default_factory=list)

    async def ask(
        self, account_id: str, focus: Focus | None, authorization: str, number: int
    ) -> CallResult:
        at = asyncio.get_running_loop().time()
        self.calls.append((at, account_id))
        result = self.answer(account_id, at)
        await asyncio.sleep(self.takes_s)
        return result

    async def is_alive(self, authorization: str, number: int) -> bool:
        return not self.answer("-", asyncio.get_running_loop().time()).is_outage


def good() -> CallResult:
    return CallResult(CallOutcome.ANSWERED, http_status=200, answer=GOOD)


def unavailable() -> CallResult:
    return CallResult(CallOutcome.FAILED, Reason.HTTP_5XX, 503, "HTTP 503", is_outage=True)


def simulate(
    count: int,
    api: SimulatedApi,
    *,
    hours: float = 4.0,
    seed: int = 1,
    checkpoint: MemoryCheckpoint | None = None,
    **settings: Any,
) -> tuple[ScoringOutcome, MemoryCheckpoint]:
    """Score so many accounts; how it ended, and what was kept."""
    kept = checkpoint or MemoryCheckpoint()
    nothing = [None] * count
    ids = [f"A{number:06d}" for number in range(count)]
    loop = SimulatedLoop()
    calls_end_at = BEGIN + timedelta(hours=hours)

    async def whole_limit(limit: float, in_use: float) -> RateShare:
        return RateShare(limit, is_free=True)

    async def run() -> ScoringOutcome:
        engine = Engine(
            pa.table([ids, ids, nothing, nothing], schema=ACCOUNTS_SCHEMA),
            MemoryCheckpoint(dict(kept.ratings), dict(kept.attempts), dict(kept.cut_off)),
            settings=Settings(_env_file=None, api_url="http://127.0.0.1/", **settings),
            checkpoint=SimulatedCheckpoint(kept),
            take_share=whole_limit,
            time=RunTime(
                calls_end_at,
                now=lambda: BEGIN + timedelta(seconds=loop.time()),
                monotonic=loop.time,
            ),
            deadline_at=calls_end_at + timedelta(minutes=10),
            rng=random.Random(seed),
        )
        await engine.run(api, FixedToken("simulated"))
        if engine.end.error is not None:
            raise engine.end.error
        return engine.outcome()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(run()), kept
