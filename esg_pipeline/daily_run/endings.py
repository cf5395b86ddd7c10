"""How a run can end badly, in one table: who hears of it, and with which exit code.

The stages raise, and nothing here decides that a run must end. A good end has no row: it gives exit
code 0, or 3 above the failure threshold.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from esg_pipeline.accounts import AccountSourceError
from esg_pipeline.alerts import Condition
from esg_pipeline.clock import WindowHasPassed
from esg_pipeline.daily_run.errors import (
    AccountListHeld,
    AlreadyDelivered,
    DeadlineExceeded,
    NotBegun,
    NothingToAskAgain,
    OutOfMemory,
)
from esg_pipeline.delivery import DeliveryError
from esg_pipeline.exit_codes import ExitCode
from esg_pipeline.ledger import LeaseHeld, LeaseLost, LedgerUnavailable
from esg_pipeline.report import ReportInvalid
from esg_pipeline.scoring import ApiUnauthorized, ApiUntrusted
from esg_pipeline.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Ending:
    """What an ending means.

    Attributes:
        condition: What people are alerted to; None: nobody needs to hear, because another run
            works or has delivered, or the person who asked sees it.
        exit_code: Of `esg-pipeline run`.
        is_quiet: At the start of a run nothing is wrong with the day: the rest of the run is
            skipped, and nothing turns red.
    """

    condition: Condition | None
    exit_code: ExitCode = ExitCode.FAILED
    is_quiet: bool = False


ENDINGS: dict[type[Exception], Ending] = {
    LeaseHeld: Ending(None, ExitCode.ALREADY_RUNNING, is_quiet=True),
    AlreadyDelivered: Ending(None, ExitCode.DELIVERED, is_quiet=True),
    LeaseLost: Ending(None),
    NotBegun: Ending(None),
    NothingToAskAgain: Ending(None),
    SettingsError: Ending(Condition.RUN_FAILED, ExitCode.USAGE),
    WindowHasPassed: Ending(Condition.NOT_STARTED),
    AccountSourceError: Ending(Condition.RUN_FAILED),
    AccountListHeld: Ending(Condition.ACCOUNT_LIST_HELD),
    ApiUnauthorized: Ending(Condition.UNAUTHORIZED),
    ApiUntrusted: Ending(Condition.RUN_FAILED),
    ReportInvalid: Ending(Condition.RUN_FAILED),
    DeliveryError: Ending(Condition.DELIVERY_FAILED),
    DeadlineExceeded: Ending(Condition.DEADLINE_EXCEEDED),
    LedgerUnavailable: Ending(Condition.RUN_FAILED),
    OutOfMemory: Ending(Condition.RUN_FAILED),
}
"""By exception; one that is derived from it means the same."""

UNKNOWN = Ending(Condition.RUN_FAILED)
"""Whatever else a run dies of."""

KNOWN = tuple(ENDINGS)
QUIET = tuple(kind for kind, ending in ENDINGS.items() if ending.is_quiet)


def ending_of(error: Exception) -> Ending:
    """What it means that a run ends with this error."""
    return _found(kind for kind in ENDINGS if isinstance(error, kind))


def ending_named(name: str) -> Ending:
    """The same, by the name of the error's class, as a run's tag keeps it."""
    return _found(kind for kind in ENDINGS if kind.__name__ == name)


def _found(kinds: Iterable[type[Exception]]) -> Ending:
    return next((ENDINGS[kind] for kind in kinds), UNKNOWN)
