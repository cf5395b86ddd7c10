"""The rate limit that a run shares with the runs of other dates, as the engine asks for it."""

from typing import Protocol

from esg_pipeline.ledger import RateShare


class SharedRateLimit(Protocol):
    """Who says how much of the limit is this run's; `ledger.SharedRateLimit` in production."""

    def take(self, limit: float, in_use: float) -> RateShare:
        """Of the calls a second that all runs may make, those that this run may make."""

    def give_back(self) -> None:
        """This run makes no more calls; the end of its lease says the same."""
