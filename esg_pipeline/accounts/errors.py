"""What can go wrong with the account list.

AccountSourceError      the source cannot be read: down, slow, refused, or asked wrongly
└── AccountListError    the source was read, and its list cannot be trusted

Messages are one line: what, where, what to do. They hold no password and no account name; account
ids may be in them.
"""


class AccountSourceError(Exception):
    """The account list could not be read.

    Attributes:
        retryable: The same call may work a little later (the source is down, slow or busy).
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(" ".join(message.split()))
        self.retryable = retryable


class AccountListError(AccountSourceError):
    """The list was read and is wrong; reading it again will not help."""

    def __init__(self, message: str) -> None:
        super().__init__(f"account list: {message}", retryable=False)
