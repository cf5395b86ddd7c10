"""What stops a day's run, other than the errors of its stages. What each means is in `endings`.

    AlreadyDelivered     this run's own edition is delivered; there is nothing left to do
    NotBegun             an asset alone, and nothing before it that it could use
    NothingToAskAgain    a rerun of some accounts, and the date has none to give
    AccountListHeld      the list shrank too much; it waits for a person
    DeadlineExceeded     the time was over before the report was before its readers
    OutOfMemory          the run was refused memory
    NothingToRebuild     an edition cannot be made again

Every message is one line for the person who must act.
"""


class AlreadyDelivered(Exception):
    """This run's own edition is delivered; a retry after a late crash has nothing left to do."""


class NotBegun(Exception):
    """An asset was materialized without those before it, and the date has nothing it could use."""


class NothingToAskAgain(Exception):
    """A rerun of some accounts was asked for, but the date has none to give.

    Attributes:
        is_fine: There is nothing to do because no account Failed.
    """

    def __init__(self, message: str, *, is_fine: bool = False) -> None:
        super().__init__(message)
        self.is_fine = is_fine


class AccountListHeld(Exception):
    """The list shrank too much; a named person must release it before any call is made."""


class DeadlineExceeded(Exception):
    """The time of the run was over before its report was before the readers."""


class OutOfMemory(Exception):
    """The run was refused memory; one that the kernel kills for it ends as any killed run."""

    def __init__(self) -> None:
        super().__init__(
            "out of memory: give the run more, or lower ESG_API_MAX_CONCURRENCY; then run the date "
            "again, only what is missing is asked, with half as many calls at once"
        )


class NothingToRebuild(Exception):
    """The ledger or the store lacks what an edition was made of."""
