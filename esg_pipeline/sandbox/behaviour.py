"""Everything about the simulated API that can be changed while it runs, checked at the edge."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from esg_pipeline.sandbox.fault_plan import FaultPlan, checked_fault_name


class BehaviourError(ValueError):
    """A behaviour that makes no sense; the text names the part."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the API behaves from now on.

    Attributes:
        faults: Fault name to share of the accounts; see `FaultPlan`.
        account_faults: Account id to fault; see `FaultPlan`.
        outage: The fault that every call gets, whatever its account or token.
        listening: False: connections are refused, and the open ones were cut.
        latency_s: Time before each answer, seconds; a pair is a range, evenly spread.
        slow_s: What the fault `slow` waits, seconds.
        rate_limit: Calls let through in any sliding second; None switches the limit off.
        max_concurrency: Calls answered at once; more are told to slow down. None: no cap.
        throttle_status: Status of a call over the limit or the cap.
        throttle_headers: Headers of every “slow down”, the fault `http_429` too.
        token_lifetime_s: Life of an OAuth token, seconds.
        token_status: Status of the OAuth token endpoint; anything but 200 gives no token.
    """

    faults: Mapping[str, float | str] = field(default_factory=dict)
    account_faults: Mapping[str, str] = field(default_factory=dict)
    outage: str | None = None
    listening: bool = True
    latency_s: float | tuple[float, float] = 0.0
    slow_s: float = 5.0
    rate_limit: int | None = None
    max_concurrency: int | None = None
    throttle_status: int = 429
    throttle_headers: Mapping[str, str] = field(default_factory=lambda: {"Retry-After": "1"})
    token_lifetime_s: float = 3600.0
    token_status: int = 200

    def __post_init__(self) -> None:
        """Refuse what cannot be done, before it is done.

        Raises:
            BehaviourError: a limit below 1, or a latency that is no time.
            FaultPlanError: faults that cannot be followed.
        """
        self.plan()
        if self.outage is not None:
            checked_fault_name(self.outage)
        for name in ("rate_limit", "max_concurrency"):
            limit = getattr(self, name)
            if limit is not None and (not isinstance(limit, int) or limit < 1):
                raise BehaviourError(f"{name}: {limit!r} must be 1 or more; null switches it off")
        low, high = self.latency_range_s
        if not 0 <= low <= high:
            raise BehaviourError(f"latency_s: {self.latency_s!r} must be seconds, or low and high")

    @property
    def latency_range_s(self) -> tuple[float, float]:
        """The latency as a range, seconds."""
        if isinstance(self.latency_s, int | float):
            return self.latency_s, self.latency_s
        low, high = self.latency_s
        return low, high

    def plan(self) -> FaultPlan:
        """Give the plan of who gets which fault."""
        return FaultPlan(self.faults, self.account_faults)

    def changed(self, changes: Mapping[str, Any]) -> "Behaviour":
        """Give this behaviour with some parts replaced, each as a whole.

        Raises:
            BehaviourError: a name that is no attribute, or a value that makes no sense.
        """
        known = [each.name for each in fields(self)]
        for name in changes:
            if name not in known:
                raise BehaviourError(f"unknown setting {name!r}; there are: {', '.join(known)}")
        return replace(self, **changes)
