"""Which accounts get which fault.

A pure function of the account id, so that a test knows beforehand whom a fault hits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from esg_pipeline.sandbox.faults import FAULTS

ROUNDING = 1e-9
"""Shares such as ten times 0.1 may add up to a hair more than 1."""


class FaultPlanError(ValueError):
    """A fault plan that cannot be followed; the text says which part."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """What awaits one account.

    Attributes:
        name: Key of `FAULTS`.
        first_calls: Only so many first calls fail; None means all of them.
    """

    name: str
    first_calls: int | None = None


class FaultPlan:
    """Whom each fault hits.

    Args:
        shares: Fault name to share of the accounts, a number or text `share[:N]`, where only
            the first N calls of such an account fail: `{"http_500": "0.02:1"}`. A hash of the
            id chooses the accounts; none gets two faults.
        accounts: Account id to fault, `name[:N]`; goes before the shares.

    Raises:
        FaultPlanError: unknown fault, unreadable or impossible share.
    """

    def __init__(
        self, shares: Mapping[str, float | str], accounts: Mapping[str, str] | None = None
    ) -> None:
        self._of_account: dict[str, PlannedFault] = {}
        for account_id, fault in (accounts or {}).items():
            name, _, first_calls = fault.partition(":")
            self._of_account[account_id] = _planned(name, first_calls)
        self._bounds: list[tuple[float, PlannedFault]] = []
        total = 0.0
        # By name, so that the order in which the shares are given does not matter.
        for name, text in sorted(shares.items()):
            share, _, first_calls = str(text).partition(":")
            total += _share(name, share)
            self._bounds.append((total, _planned(name, first_calls)))
        if total > 1 + ROUNDING:
            raise FaultPlanError(f"the shares of the faults add up to {total:g}; 1 is all accounts")

    def fault_for(self, account_id: str) -> PlannedFault | None:
        """Tell the fault of an account, if it has one."""
        if account_id in self._of_account:
            return self._of_account[account_id]
        if not self._bounds:
            return None
        place = _place(account_id)
        return next((planned for bound, planned in self._bounds if place < bound), None)


def checked_fault_name(name: str) -> str:
    """Return the name if the table has it.

    Raises:
        FaultPlanError: it has not.
    """
    if name not in FAULTS:
        raise FaultPlanError(f"unknown fault {name!r}; there are: {', '.join(FAULTS)}")
    return name


def read_fault_options(options: Iterable[str]) -> dict[str, str]:
    """Read options such as `http_500=0.02:1` into the shares of a plan.

    Raises:
        FaultPlanError: an option without `=`.
    """
    shares = {}
    for option in options:
        name, equals, share = option.partition("=")
        if not equals:
            raise FaultPlanError(f"fault {option!r}: write it as NAME=SHARE, such as http_500=0.02")
        shares[name] = share
    return shares


def _planned(name: str, first_calls: str) -> PlannedFault:
    checked_fault_name(name)
    if not first_calls:
        return PlannedFault(name)
    if not first_calls.isdecimal():
        raise FaultPlanError(f"fault {name}: {first_calls!r} after the colon must be a number")
    return PlannedFault(name, int(first_calls))


def _share(name: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise FaultPlanError(f"fault {name}: {text!r} is not a share from 0 to 1, such as 0.02")
    return share


def _place(account_id: str) -> float:
    """Where an account lies between 0 and 1, for ever."""
    digest = blake2b(account_id.encode("utf-8", "surrogatepass"), digest_size=8, person=b"fault")
    return int.from_bytes(digest.digest()) / 2**64
