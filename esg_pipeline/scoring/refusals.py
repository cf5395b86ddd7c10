"""Tells an API that refuses our credentials from accounts that it refuses (401 and 403).

Ratings of refused accounts are held back meanwhile: a refusal of everybody says nothing about any
of them. Nothing here calls, waits or writes.
"""

from collections import Counter

from esg_pipeline.ratings import Rating

FROM_THE_START_ACCOUNTS = 5
IN_A_ROW_CALLS = 20


class Refusals:
    """The refusals since the API last accepted our credentials.

    Args:
        accounts_asked: Accounts of this run.

    Attributes:
        spent: By row, attempts that refusals have cost.
    """

    def __init__(self, accounts_asked: int) -> None:
        self._enough_accounts = min(FROM_THE_START_ACCOUNTS, accounts_asked)
        self._were_accepted_once = False
        self._calls = 0
        self._accounts: set[int] = set()
        self._held: list[Rating] = []
        self.spent: Counter[int] = Counter()

    def note_spent(self, row: int) -> None:
        """A call of the account was refused, whether or not the credentials were stale."""
        self.spent[row] += 1

    def note(self, row: int) -> None:
        """An account was refused, and the credentials were the newest."""
        self._calls += 1
        self._accounts.add(row)

    @property
    def are_everywhere(self) -> bool:
        """Whether it is our credentials that are refused.

        So it is when five accounts (all, if there are fewer) were refused and none was ever
        accepted, or when the last 20 calls were all refused.
        """
        if not self._were_accepted_once and len(self._accounts) >= self._enough_accounts:
            return True
        return self._calls >= IN_A_ROW_CALLS

    def hold(self, rating: Rating) -> None:
        """Keep the rating of a refused account until it is known who is refused."""
        self._held.append(rating)

    def take_held(self) -> list[Rating]:
        """Give out the ratings kept."""
        held, self._held = self._held, []
        return held

    def end(self) -> bool:
        """Our credentials were accepted; whether that ended a row of refusals."""
        self._were_accepted_once = True
        self.spent.clear()
        if not self._calls:
            return False
        self._calls = 0
        self._accounts.clear()
        return True
