"""What can go wrong in the ledger, for the reader who must act.

    LedgerError
    ├── LedgerUnavailable   the database is away, full, locked, or not one we can use
    ├── LeaseHeld           another run works on this date
    ├── LeaseLost           this run worked on this date, and another has taken over
    └── NoDeliveredEdition  a correction was asked for a date that has nothing to correct

No message holds a password, an account name, or an SQL statement.
"""


class LedgerError(Exception):
    """Base of everything the ledger raises on purpose."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be read or written now. One line.

    Attributes:
        retryable: The same call may work later. It is safe to repeat every call of the ledger
            whose outcome is unknown because of this error.
    """

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class LeaseHeld(LedgerError):
    """Another run holds this date.

    Attributes:
        holder: Who, as text for a person: host, process, run, age of the last heartbeat.
    """

    def __init__(self, message: str, *, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


class LeaseLost(LedgerError):
    """Another run has taken this date over: this one must stop, and can write nothing."""


class NoDeliveredEdition(LedgerError):
    """Accounts were to be asked again for a date that has no delivered edition."""
