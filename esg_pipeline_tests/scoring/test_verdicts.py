"""When failures are everybody's, and when they are only of the accounts that fail."""

import pytest

from esg_pipeline.scoring.verdicts import Judge, Verdict

ALIVE, DOWN = False, True


def judge(accounts: int = 1000) -> Judge:
    return Judge(accounts, accounts, probe_base_s=1.0, probe_max_s=60.0)


def down_after(judge: Judge, calls: list[bool], *, first_row: int = 0) -> int | None:
    """The number of calls, each of another account, after which the API was down."""
    for number, is_down in enumerate(calls, 1):
        verdict = judge.note(first_row + number, is_down=is_down, now=100.0)
        if verdict is Verdict.API_DOWN:
            return number
        assert verdict is Verdict.ITS_OWN
    return None


@pytest.mark.parametrize(
    ("accounts", "calls", "down"),
    [
        (1000, [DOWN] * 50, 20),
        (1000, [ALIVE] * 50 + [DOWN] * 50, 90),
        (1000, [ALIVE, DOWN] * 500, None),
        (1000, [ALIVE] + [DOWN] * 3, None),
        (1000, ([ALIVE] + [DOWN] * 3) * 100, None),
        (1000, ([ALIVE] + [DOWN] * 4) * 100, 20),
        (3, [DOWN] * 3, 3),
        (1, [DOWN], 1),
    ],
)
def test_the_api_is_down_when_four_of_five_recent_calls_say_so(accounts, calls, down):
    outage = judge(accounts)
    assert down_after(outage, calls) == down
    assert outage.is_down == (down is not None)


def test_probes_are_spaced_exponentially_up_to_the_maximum():
    outage, waits = judge(), []
    down_after(outage, [DOWN] * 20)
    now = 100.0
    for _ in range(9):
        waits.append(outage.next_probe_at - now)
        now = outage.next_probe_at
        outage.probe_failed(now)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_an_outage_is_timed_from_when_it_was_noticed():
    outage = judge()
    assert outage.down_s(50.0) < 0
    down_after(outage, [DOWN] * 20)
    outage.probe_failed(107.0)
    assert outage.down_s(110.0) == 10
    outage.probe_answered()
    assert outage.down_s(110.0) < 0
    assert not outage.is_down


def test_calls_that_were_in_flight_do_not_count_after_the_api_is_down():
    outage = judge()
    down_after(outage, [DOWN] * 20)
    assert outage.note(1, is_down=True, now=101.0) is Verdict.ITS_OWN
    assert outage.down_since == 100.0


def only_accounts_that_failed_before(judge: Judge) -> None:
    """Twenty accounts fail among many that are answered; at the end only they are left."""
    for row in range(20):
        assert down_after(judge, [ALIVE] * 3, first_row=1000) is None
        assert judge.note(row, is_down=True, now=50.0) is Verdict.ITS_OWN
    for _ in range(3):
        for row in range(20):
            if judge.note(row, is_down=True, now=100.0) is Verdict.API_DOWN:
                return


def test_failures_of_accounts_that_failed_before_are_only_a_doubt():
    doubt = judge()
    only_accounts_that_failed_before(doubt)
    assert doubt.is_doubtful
    assert doubt.next_probe_at == 100.0
    assert doubt.down_s(9999.0) < 0
    doubt.probe_failed(101.0)
    assert not doubt.is_doubtful
    assert doubt.down_s(111.0) == 11


def test_accounts_that_failed_while_nobody_was_answered_are_no_doubt():
    outage = judge()
    down_after(outage, [DOWN] * 20)
    outage.probe_answered()
    assert down_after(outage, [DOWN] * 20) == 20
    assert not outage.is_doubtful


def test_after_the_api_is_back_the_old_signs_are_forgotten():
    outage = judge()
    down_after(outage, [DOWN] * 20)
    outage.probe_answered()
    assert down_after(outage, [DOWN] * 19) is None


def verdicts(judge: Judge, refusals: list[bool | None], *, accounts: int = 1000) -> list[Verdict]:
    """The verdicts of calls, of so many accounts in turn."""
    return [
        judge.note(number % accounts, is_refused=is_refused, now=0.0)
        for number, is_refused in enumerate(refusals)
    ]


def test_five_accounts_refused_from_the_start_mean_our_credentials_are():
    assert verdicts(judge(), [True] * 5) == [Verdict.SET_ASIDE] * 4 + [Verdict.ALL_REFUSED]


def test_four_accounts_refused_again_and_again_are_enough_only_after_twenty_calls():
    said = verdicts(judge(), [True] * 20, accounts=4)
    assert said == [Verdict.SET_ASIDE] * 19 + [Verdict.ALL_REFUSED]


@pytest.mark.parametrize("accounts", [1, 3])
def test_of_fewer_accounts_all_must_be_refused(accounts):
    said = verdicts(judge(accounts), [True] * accounts)
    assert said == [Verdict.SET_ASIDE] * (accounts - 1) + [Verdict.ALL_REFUSED]


def test_once_accepted_only_twenty_refusals_in_a_row_are_everybodys():
    said = verdicts(judge(), [False] + [True] * 19 + [False] + [True] * 20)
    assert said.index(Verdict.ALL_REFUSED) == len(said) - 1


def test_calls_that_say_nothing_of_our_credentials_break_no_row_of_refusals():
    credentials = judge()
    said = verdicts(credentials, [False] + [True] * 10 + [None] * 50 + [True] * 10)
    assert said[-1] is Verdict.ALL_REFUSED
    assert credentials.is_refused


def test_refused_for_everybody_is_the_last_word():
    credentials = judge()
    verdicts(credentials, [True] * 5)
    assert verdicts(credentials, [False, True]) == [Verdict.ITS_OWN, Verdict.ALL_REFUSED]


def test_a_refusal_says_that_the_api_is_up():
    outage = judge()
    verdicts(outage, [False] + [True] * 10)
    assert down_after(outage, [DOWN] * 50) == 40
