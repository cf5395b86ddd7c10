"""Which alert a run raises, and when: by the facts of the run, once, and never wrongly."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from esg_pipeline import clock
from esg_pipeline.accounts import AccountSourceError
from esg_pipeline.alerts import send_due
from esg_pipeline.daily_run import AccountListHeld, Claim, DeadlineExceeded
from esg_pipeline.daily_run.when_to_alert import (
    ProgressAlerts,
    alert_delivered,
    alert_ending,
    alert_source_down,
    alert_started,
)
from esg_pipeline.delivery import DeliveryError
from esg_pipeline.ledger import Ledger, LedgerUnavailable
from esg_pipeline.ratings import Reason
from esg_pipeline.scoring import ApiUnauthorized
from esg_pipeline.scoring.tally import Latency, Progress
from esg_pipeline.settings import Settings, load_settings
from esg_pipeline_tests.mornings import DAY, at, at_work, deliver
from esg_pipeline_tests.servers.receivers import Receivers, start_receivers

ACCOUNTS = 10_000


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(DAGSTER_HOME=tmp_path, _env_file=None)


@pytest.fixture
def ledger(settings) -> Iterator[Ledger]:
    ledger = Ledger.open(settings.ledger_location, patience_s=0.2)
    yield ledger
    ledger.close()


@pytest.fixture
def claim(ledger, settings, time_machine) -> Iterator[Claim]:
    """A scheduled run that began at 05:00."""
    time_machine.move_to(at("05:00"), tick=False)
    with at_work(ledger, settings) as claim:
        yield claim


@pytest.fixture
def receivers(servers, tmp_path, monkeypatch) -> Iterator[Receivers]:
    with start_receivers(tmp_path) as receivers:
        for name, value in receivers.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        yield receivers


def progress(failed: int = 0, *, answered: int = 5_000, **facts: object) -> Progress:
    values = {
        "total": ACCOUNTS,
        "answered": answered,
        "failed": failed,
        "calls": answered,
        "rate": 50.0,
        "throttled": 0,
        "pace": 50.0,
        "retries_waiting": 0,
        "paused": None,
        "eta": None,
        "outcomes": {},
        "latency": Latency(),
    }
    return Progress(**values | facts)  # type: ignore[arg-type]


def ratings(**counts: int) -> pa.Table:
    """Ratings by status, or by reason for those that Failed: `ratings(Successful=9, timeout=1)`."""
    rows = [
        (each, None) if each in ("Successful", "Partial") else ("Failed", each)
        for each, count in counts.items()
        for _ in range(count)
    ]
    schema = pa.schema({"status": pa.string(), "reason": pa.string()})
    return pa.table(list(zip(*rows, strict=True)), schema=schema)


def raised(ledger: Ledger) -> set[str]:
    """The conditions of the day that nobody has resolved."""
    return {alert.condition for alert in ledger.outbox.alerts(DAY) if alert.resolved_at is None}


@contextmanager
def ledger_away(settings: Settings) -> Iterator[None]:
    """Somebody keeps the database locked: nothing can be written."""
    path = settings.ledger_location.removeprefix("sqlite:///")
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    other.close()


class TestTheFailureShare:
    @pytest.mark.parametrize(
        ("failed", "accounts", "threshold", "is_told"),
        [
            (499, 10_000, 0.05, False),
            (500, 10_000, 0.05, False),
            (501, 10_000, 0.05, True),
            (5, 100, 0.05, False),
            (1, 7, 0.05, True),
            (29, 100, 0.29, False),
            (30, 100, 0.29, True),
            (0, 100, 0.0, False),
            (1, 100_000, 0.0, True),
            (100, 100, 1.0, False),
        ],
    )
    def test_is_an_alert_strictly_above_the_threshold(
        self, claim, ledger, settings, failed, accounts, threshold, is_told
    ):
        strict = settings.model_copy(update={"failure_threshold": threshold})
        now = progress(failed, total=accounts, answered=accounts)
        ProgressAlerts(claim, strict)(now)
        assert ("failure_share" in raised(ledger)) == is_told
        alert_delivered(claim, strict, ratings(Successful=accounts - failed, timeout=failed))
        assert ("failure_share" in raised(ledger)) == is_told

    def test_is_told_once_while_it_grows(self, claim, ledger, settings):
        alerts = ProgressAlerts(claim, settings)
        for failed in (499, 500, 501, 502, 6_000):
            alerts(progress(failed))
        (alert,) = ledger.outbox.alerts(DAY)
        assert (alert.condition, alert.details["failed"]) == ("failure_share", 501)

    def test_counts_what_an_earlier_run_of_the_edition_gave_up(self, claim, ledger, settings):
        lost = [f"A{number:05}" for number in range(500)]
        ledger.results.fail_unanswered(
            claim.lease, claim.edition, lost, reason=Reason.TIMEOUT, message="", now=at("05:01")
        )
        given_up = ledger.results.resume_state(claim.edition).failed
        alerts = ProgressAlerts(claim, settings)
        alerts(progress(given_up))
        assert raised(ledger) == set()
        alerts(progress(given_up + 1))
        assert raised(ledger) == {"failure_share"}

    def test_goes_away_with_a_good_edition_which_is_told(self, claim, ledger, settings):
        alert_delivered(claim, settings, ratings(Successful=94, timeout=6))
        assert raised(ledger) == {"failure_share"}
        alert_delivered(claim, settings, ratings(Successful=99, timeout=1))
        assert raised(ledger) == {"recovered"}

    def test_stays_when_the_next_edition_is_no_better(self, claim, ledger, settings):
        for _ in range(2):
            alert_delivered(claim, settings, ratings(Successful=94, timeout=6))
        (alert,) = ledger.outbox.alerts(DAY)
        assert alert.occurrence == 1


class TestTheEstimate:
    @pytest.fixture
    def alerts(self, claim, settings) -> ProgressAlerts:
        return ProgressAlerts(claim, settings)

    def test_is_an_alert_when_it_misses_the_end_for_a_minute(self, alerts, ledger, time_machine):
        late = progress(eta=at("08:50:01"))
        for second in range(0, 60, 10):
            time_machine.move_to(at("05:05") + timedelta(seconds=second), tick=False)
            alerts(late)
        assert raised(ledger) == set()
        time_machine.move_to(at("05:06"), tick=False)
        alerts(late)
        (alert,) = ledger.outbox.alerts(DAY)
        assert alert.condition == "projected_overrun"
        assert datetime.fromisoformat(alert.details["estimated_finish"]) == at("08:50:01")
        assert datetime.fromisoformat(alert.details["deadline"]) == at("09:00")

    def test_is_none_when_it_is_in_time_or_late_for_moments_only(
        self, alerts, ledger, time_machine
    ):
        for minute in range(60):
            time_machine.move_to(at("05:05") + timedelta(minutes=minute / 2), tick=False)
            late = minute % 2 == 0
            alerts(progress(answered=minute, eta=at("08:51") if late else at("08:49")))
        assert raised(ledger) == set()

    def test_is_an_alert_when_nothing_is_answered_any_more(self, alerts, ledger, time_machine):
        """An API that is down gives no estimate, and no failure either."""
        for minute in range(30):
            time_machine.move_to(at("05:00") + timedelta(minutes=minute), tick=False)
            alerts(progress(answered=min(minute, 10) * 100, eta=None, paused="outage"))
            assert raised(ledger) == ({"projected_overrun"} if minute >= 20 else set())

    def test_is_none_when_all_is_answered(self, alerts, ledger, time_machine):
        for minute in range(0, 60, 5):
            time_machine.move_to(at("05:00") + timedelta(minutes=minute), tick=False)
            alerts(progress(answered=ACCOUNTS, eta=clock.now_utc()))
        assert raised(ledger) == set()

    def test_waits_for_a_ledger_that_is_away(self, alerts, ledger, settings, time_machine):
        with ledger_away(settings):
            alerts(progress(501))
        time_machine.shift(timedelta(seconds=29))
        alerts(progress(501))
        assert raised(ledger) == set()
        time_machine.shift(timedelta(seconds=1))
        alerts(progress(501))
        assert raised(ledger) == {"failure_share"}


def test_an_answer_for_another_account_is_told_at_once(claim, ledger, settings):
    alerts = ProgressAlerts(claim, settings)
    alerts(progress(1, outcomes={"answered": 10, "identity_mismatch": 1}))
    (alert,) = ledger.outbox.alerts(DAY)
    assert (alert.condition, alert.details["mismatches"]) == ("identity_mismatch", 1)


def test_a_report_that_misses_accounts_of_the_deadline_is_told(claim, ledger, settings):
    alert_delivered(claim, settings, ratings(Successful=97, deadline=3))
    assert raised(ledger) == {"deadline_exceeded"}
    (alert,) = ledger.outbox.alerts(DAY)
    assert alert.details["answered"] == 97
    assert alert.details["is_delivered"] is True


@pytest.mark.parametrize(
    ("ending", "condition"),
    [
        (AccountListHeld("held"), "account_list_held"),
        (ApiUnauthorized("401"), "unauthorized"),
        (DeadlineExceeded("too late"), "deadline_exceeded"),
        (DeliveryError("no room"), "delivery_failed"),
        (AccountSourceError("down", retryable=True), "run_failed"),
        (RuntimeError("anything"), "run_failed"),
    ],
)
def test_each_bad_ending_has_its_condition(claim, ledger, settings, ending, condition):
    for _ in range(2):
        alert_ending(ledger, settings, DAY, ending, run_id="run-1")
    (alert,) = ledger.outbox.alerts(DAY)
    assert alert.condition == condition
    foreign = type(ending) is RuntimeError
    assert alert.details["cause"] == ("RuntimeError" if foreign else str(ending))


def test_a_source_that_is_waited_for_is_told_at_once_and_over_with_the_delivery(
    claim, ledger, settings
):
    on_wait = alert_source_down(claim)
    for wait_s in (1.0, 2.0):
        on_wait(AccountSourceError("the accounts database is down", retryable=True), wait_s)
    (alert,) = ledger.outbox.alerts(DAY)
    assert alert.condition == "run_failed"
    assert "waiting for the account source: the accounts database is down" in alert.details["cause"]
    alert_delivered(claim, settings, ratings(Successful=10))
    assert raised(ledger) == {"recovered"}


class TestARunThatComesTooLate:
    ENDING = clock.WindowHasPassed("after the deadline")

    def test_on_a_day_that_never_began_is_not_started(self, ledger, settings, time_machine):
        time_machine.move_to(at("09:30"), tick=False)
        alert_ending(ledger, settings, DAY, self.ENDING, run_id="run-1")
        assert raised(ledger) == {"not_started", "deadline_exceeded"}

    def test_after_one_that_worked_is_not_told_as_not_started(
        self, claim, ledger, settings, time_machine
    ):
        time_machine.move_to(at("09:01"), tick=False)
        alert_ending(ledger, settings, DAY, self.ENDING, run_id="its retry")
        assert raised(ledger) == {"deadline_exceeded"}

    def test_on_a_day_that_is_delivered_is_nothing(self, claim, ledger, settings, time_machine):
        deliver(claim)
        time_machine.move_to(at("09:01"), tick=False)
        alert_ending(ledger, settings, DAY, self.ENDING, run_id="its retry")
        assert raised(ledger) == set()


def test_a_run_that_works_ends_not_started_and_nothing_else(claim, ledger, settings):
    ledger.outbox.raise_alert(DAY, "not_started", {"since": at("05:15").isoformat()})
    ledger.outbox.raise_alert(DAY, "run_failed", {"since": at("05:16").isoformat()})
    alert_started(claim)
    assert raised(ledger) == {"run_failed"}


class TestWithoutALedger:
    def test_an_ending_is_sent_at_once(self, receivers):
        alert_ending(None, load_settings(), DAY, LedgerUnavailable("gone"), run_id="run-1")
        told = {(str(DAY), "run_failed"): 1}
        assert receivers.mails() == told
        assert receivers.opened() == told

    def test_also_when_it_goes_away_in_the_middle(self, receivers, claim, ledger, settings):
        with ledger_away(settings):
            alert_ending(ledger, load_settings(), DAY, DeliveryError("no room"), run_id="run-1")
        assert receivers.opened() == {(str(DAY), "delivery_failed"): 1}

    def test_the_same_told_later_by_the_ledger_opens_no_second_incident(
        self, receivers, claim, ledger, settings
    ):
        told = load_settings()
        alert_ending(None, told, DAY, RuntimeError("x"), run_id="run-1")
        alert_ending(ledger, told, DAY, RuntimeError("x"), run_id="run-1")
        send_due(ledger, told, clock.now_utc())
        assert receivers.opened() == {(str(DAY), "run_failed"): 1}
        alert_delivered(claim, told, ratings(Successful=10))
        send_due(ledger, told, clock.now_utc())
        assert receivers.open_now() == set()
        assert receivers.mails()[str(DAY), "recovered"] == 1


def test_no_account_is_named_in_what_people_get(receivers, claim, ledger):
    told = load_settings()
    alert_delivered(claim, told, ratings(Successful=1, timeout=5, identity_mismatch=1, deadline=2))
    send_due(ledger, told, clock.now_utc())
    conditions = Counter({"failure_share", "identity_mismatch", "deadline_exceeded"})
    assert Counter(condition for _, condition in receivers.mails()) == conditions
    text = "".join(each.text + each.html for each in receivers.mail.received)
    assert "8 of 9 accounts" in text
    assert receivers.hears_business("failure_share")
    assert receivers.hears_business("deadline_exceeded")
    assert not receivers.hears_business("identity_mismatch")
