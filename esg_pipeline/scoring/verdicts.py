"""One account or everybody: what the last calls together say of the API.

Two things are judged: whether the API is down, and whether it refuses our credentials. Pure state:
what calls brought and times go in, verdicts come out. It makes no call, spends no attempt and keeps
no rating.
"""

from collections import deque
from enum import Enum, auto

WINDOW_CALLS = 50
MIN_CALLS = 20
OUTAGE_SHARE = 0.8
"""Of the last 50 calls, and at least 20: so many must have failed."""
REFUSED_FROM_THE_START_ACCOUNTS = 5
REFUSED_IN_A_ROW_CALLS = 20


class Verdict(Enum):
    """What one finished call means, beside those before it."""

    ITS_OWN = auto()
    """What it brought is true of its account."""
    SET_ASIDE = auto()
    """Refused, and it is not known yet whether the account is, or our credentials are."""
    ALL_REFUSED = auto()
    """The API refuses our credentials for everybody: the run must stop."""
    API_DOWN = auto()
    """With this call the API is down for everybody: calls stop, probes begin."""


class _Sign(Enum):
    """What one finished call says about whether the API is down."""

    ALIVE = auto()
    DOWN = auto()
    DOUBTFUL = auto()
    """Down, but from an account that failed before while the API was alive."""


class Judge:
    """Judges each finished call.

    The API is down (docs/design.md#outage) when at least 80 % of the last 50 calls say so. Accounts
    that always fail would look like an outage once only they are left: when most of the signs are
    doubtful, the first probe must be independent of any account.

    Our credentials are refused when five accounts (all, if there are fewer) were refused and none
    was ever accepted, or when 20 calls in a row were refused; calls that say nothing about them do
    not break the row.

    Args:
        accounts: Without a rating at the start.
        accounts_to_ask: Those of them that may still be called.
        probe_base_s: Wait before the first probe; it doubles with each.
        probe_max_s: Longest wait between probes.

    Attributes:
        down_since: When the outage was noticed, None while there is none.
        is_doubtful: Down, but perhaps only for accounts that always fail.
        next_probe_at: When the next probe may be made.
        is_refused: Our credentials are refused for everybody. It never changes back.
    """

    def __init__(
        self, accounts: int, accounts_to_ask: int, *, probe_base_s: float, probe_max_s: float
    ) -> None:
        self._signs: deque[_Sign] = deque(maxlen=WINDOW_CALLS)
        self._min_calls = min(MIN_CALLS, accounts)
        self._suspects: set[int] = set()
        self._probe_base_s = probe_base_s
        self._probe_max_s = probe_max_s
        self._probes = 0
        self.down_since: float | None = None
        self.next_probe_at = 0.0
        self.is_doubtful = False
        self._enough_accounts = min(REFUSED_FROM_THE_START_ACCOUNTS, accounts_to_ask)
        self._were_accepted_once = False
        self._refused_calls = 0
        self._refused_rows: set[int] = set()
        self.is_refused = False

    def note(
        self, row: int, *, is_down: bool = False, is_refused: bool | None = None, now: float
    ) -> Verdict:
        """Take in a finished call, also one that was a probe.

        Args:
            row: The account.
            is_down: It looks like an outage: no answer, or a 5xx.
            is_refused: Whether our newest credentials were refused; None if it does not say.
            now: Monotonic seconds.
        """
        if is_refused:
            return self._note_refused(row)
        if is_refused is False:
            self._note_accepted()
        if self._note_sign(self._sign(row, is_down=is_down), now):
            return Verdict.API_DOWN
        return Verdict.ITS_OWN

    # ---- our credentials

    @property
    def doubts_credentials(self) -> bool:
        """Whether calls were refused since our credentials were last accepted."""
        return self._refused_calls > 0

    def _note_accepted(self) -> None:
        self._were_accepted_once = True
        if self._refused_calls and not self.is_refused:
            self._refused_calls = 0
            self._refused_rows.clear()

    def _note_refused(self, row: int) -> Verdict:
        self._note_sign(_Sign.ALIVE, 0.0)
        self._refused_calls += 1
        self._refused_rows.add(row)
        from_the_start = (
            not self._were_accepted_once and len(self._refused_rows) >= self._enough_accounts
        )
        if from_the_start or self._refused_calls >= REFUSED_IN_A_ROW_CALLS:
            self.is_refused = True
        return Verdict.ALL_REFUSED if self.is_refused else Verdict.SET_ASIDE

    # ---- outages

    @property
    def is_down(self) -> bool:
        """Whether the API counts as down."""
        return self.down_since is not None

    def down_s(self, now: float) -> float:
        """Seconds since the outage was noticed; less than 0 while there is none for sure."""
        return -1.0 if self.down_since is None or self.is_doubtful else now - self.down_since

    def _sign(self, row: int, *, is_down: bool) -> _Sign:
        if not is_down:
            return _Sign.ALIVE
        if row in self._suspects:
            return _Sign.DOUBTFUL
        if 2 * self._signs.count(_Sign.ALIVE) > len(self._signs):
            self._suspects.add(row)  # most calls were answered: this failure is the account's own
        return _Sign.DOWN

    def _note_sign(self, sign: _Sign, now: float) -> bool:
        """Take in a sign; True if with it the API is down."""
        if self.is_down:
            return False  # of a probe, or of a call that was in flight when the outage was noticed
        self._signs.append(sign)
        if sign is _Sign.ALIVE or len(self._signs) < self._min_calls:
            return False
        down = len(self._signs) - self._signs.count(_Sign.ALIVE)
        if down < OUTAGE_SHARE * len(self._signs):
            return False
        self.down_since = now
        self._probes = 0
        self.is_doubtful = 2 * self._signs.count(_Sign.DOUBTFUL) > down
        self.next_probe_at = now if self.is_doubtful else now + self._probe_base_s
        return True

    def probe_failed(self, now: float) -> None:
        """The API is still down: the next probe waits longer."""
        self._probes += 1
        self.is_doubtful = False
        wait_s = min(self._probe_max_s, self._probe_base_s * 2 ** min(self._probes, 32))
        self.next_probe_at = now + wait_s

    def probe_answered(self) -> None:
        """The API is up; the signs of the outage are forgotten."""
        self.down_since = None
        self.is_doubtful = False
        self._signs.clear()
