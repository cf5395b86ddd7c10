"""One table says what a bad ending of a run means: who hears it, its exit code, what turns red."""

import inspect

import pytest

from esg_pipeline.accounts import AccountSourceError
from esg_pipeline.alerts import Condition
from esg_pipeline.clock import WindowHasPassed
from esg_pipeline.daily_run import errors
from esg_pipeline.daily_run.endings import ENDINGS, UNKNOWN, ending_named, ending_of
from esg_pipeline.delivery import DeliveryError, DeliveryInvalid, MissingFromStore
from esg_pipeline.ledger import LeaseHeld, LeaseLost, LedgerUnavailable
from esg_pipeline.report import ReportInvalid
from esg_pipeline.scoring import ApiUnauthorized, ApiUntrusted
from esg_pipeline.settings import SettingsError

WHAT_PEOPLE_HEAR = {
    "LeaseHeld": None,
    "LeaseLost": None,
    "AlreadyDelivered": None,
    "NotBegun": None,
    "NothingToAskAgain": None,
    "SettingsError": "run_failed",
    "WindowHasPassed": "not_started",
    "AccountSourceError": "run_failed",
    "AccountListHeld": "account_list_held",
    "ApiUnauthorized": "unauthorized",
    "ApiUntrusted": "run_failed",
    "ReportInvalid": "run_failed",
    "DeliveryError": "delivery_failed",
    "DeadlineExceeded": "deadline_exceeded",
    "LedgerUnavailable": "run_failed",
    "OutOfMemory": "run_failed",
}
ERRORS = [
    LeaseHeld("held", holder="another run"),
    LeaseLost("lost"),
    LedgerUnavailable("away"),
    AccountSourceError("down", retryable=True),
    ApiUnauthorized("401"),
    ApiUntrusted("another certificate"),
    DeliveryError("full"),
    ReportInvalid("a column is missing"),
    SettingsError(["ESG_API_URL: is missing"]),
    WindowHasPassed("too late"),
    errors.AccountListHeld("shrank"),
    errors.AlreadyDelivered("delivered"),
    errors.DeadlineExceeded("too late"),
    errors.NotBegun("alone"),
    errors.NothingToAskAgain("none"),
    errors.OutOfMemory(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_people_hear_what_an_ending_means_and_its_name_alone_says_the_same(error):
    name = type(error).__name__
    assert ending_of(error).condition == WHAT_PEOPLE_HEAR[name]
    assert ending_named(name) == ending_of(error)


def test_each_ending_of_the_table_is_judged_here():
    assert {kind.__name__ for kind in ENDINGS} == WHAT_PEOPLE_HEAR.keys()
    assert {type(error) for error in ERRORS} == ENDINGS.keys()


def test_whatever_stops_the_day_itself_is_in_the_table():
    stops = {each for _, each in inspect.getmembers(errors, inspect.isclass)}
    assert stops - {errors.NothingToRebuild} <= ENDINGS.keys()


@pytest.mark.parametrize("error", [DeliveryInvalid("damaged"), MissingFromStore("gone")])
def test_an_error_derived_from_a_known_one_means_the_same(error):
    assert ending_of(error) == ENDINGS[DeliveryError]


def test_whatever_is_unknown_is_a_failed_run():
    assert ending_of(ZeroDivisionError()) == UNKNOWN == ending_named("") == ending_named("New")
    assert (UNKNOWN.condition, UNKNOWN.exit_code, UNKNOWN.is_quiet) == (
        Condition.RUN_FAILED,
        1,
        False,
    )


def test_only_another_run_and_the_settings_have_an_exit_code_of_their_own():
    codes = {kind.__name__: int(ending.exit_code) for kind, ending in ENDINGS.items()}
    special = {name: code for name, code in codes.items() if code != 1}
    assert special == {"LeaseHeld": 4, "AlreadyDelivered": 0, "SettingsError": 2}


def test_nothing_turns_red_when_another_run_works_or_this_one_has_delivered():
    quiet = {kind.__name__ for kind, ending in ENDINGS.items() if ending.is_quiet}
    assert quiet == {"LeaseHeld", "AlreadyDelivered"}
