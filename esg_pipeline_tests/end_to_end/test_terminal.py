"""What a person sees in a terminal of 80 columns while a run is at work, and after it."""

import re
from collections.abc import Callable

import pytest

from esg_pipeline.sandbox import Sandbox
from esg_pipeline_tests.end_to_end.conftest import ACCOUNTS
from esg_pipeline_tests.end_to_end.job import COMMAND, DAY, Job
from esg_pipeline_tests.end_to_end.test_the_main_job import accounts_of
from esg_pipeline_tests.servers.terminal import Terminal

SLOWLY = {"ESG_API_RATE_LIMIT": "2", "ESG_API_MAX_CONCURRENCY": "2"}
"""Half a minute at the least; a test stops the run when the bar has moved a few times."""
Start = Callable[..., Terminal]
NOT_UTF8 = {"PYTHONIOENCODING": "latin-1"}


@pytest.fixture
def in_terminal(job: Job) -> Start:
    def start(*words: str, **changes: str) -> Terminal:
        return Terminal([*COMMAND, *words], env=job.environment(**changes), cwd=job.work)

    return start


@pytest.fixture
def run_in_terminal(in_terminal: Start) -> Start:
    return lambda **changes: in_terminal("run", "--date", DAY.isoformat(), **changes)


def rated(terminal: Terminal) -> int | None:
    """The count beside the bar."""
    found = re.search(rf"^Rated [━╸╺ ]+ (\d+)/{ACCOUNTS}$", terminal.text, re.MULTILINE)
    return int(found[1]) if found else None


def failed(terminal: Terminal) -> int | None:
    found = re.search(r"(\d+) failed", terminal.text)
    return int(found[1]) if found else None


def test_the_bar_moves_and_a_resumed_run_counts_on(
    run_in_terminal: Start, firm: Sandbox, job: Job
) -> None:
    unknown = sorted(accounts_of(firm))[:5]
    firm.set_faults({}, account_faults=dict.fromkeys(unknown, "http_404"))
    counts: list[int] = []

    def moved() -> bool:
        count = rated(screen)
        if count is not None and count not in counts:
            counts.append(count)
        return len(counts) >= 4 and failed(screen) == 5

    with run_in_terminal(**SLOWLY) as screen:
        screen.look_until(moved)
        assert counts == sorted(counts)
        screen.look_until(lambda: re.search(r"\d\.\d/s, 5 failed", screen.text))
        screen.look_until(lambda: re.search(r", ends (\S+ )?\d\d:\d\d(:\d\d)? CT", screen.text))
        screen.press_ctrl_c()
        assert screen.wait() == 1
    assert "the same command goes on" in screen.text
    assert "Traceback" not in screen.text
    before = rated(screen) or 0
    with run_in_terminal(**SLOWLY) as screen:
        screen.look_until(lambda: rated(screen) is not None)
        assert ((rated(screen) or 0) >= before, failed(screen)) == (True, 5)
        screen.press_ctrl_c()
        screen.wait()
    assert job.run().returncode == 3


def test_the_reason_of_a_pause_is_said_in_words(run_in_terminal: Start, firm: Sandbox) -> None:
    firm.set_faults(outage="http_503")
    with run_in_terminal() as screen:
        screen.look_until(lambda: "paused: the API seems down; probing" in screen.text)
        assert ", ends" not in screen.text
        firm.set_faults(outage=None)
        assert screen.wait() in (0, 3)
    assert rated(screen) == ACCOUNTS


def test_a_terminal_without_utf8_gets_lines_and_no_crash(
    run_in_terminal: Start, in_terminal: Start
) -> None:
    with run_in_terminal(**NOT_UTF8) as screen:
        assert screen.wait() == 0
    assert re.search(rf"^{ACCOUNTS}/{ACCOUNTS} rated, 0 failed", screen.text, re.MULTILINE)
    with in_terminal("report", "show", "--date", DAY.isoformat(), **NOT_UTF8) as screen:
        assert screen.wait() == 0
    assert "Processing Status" in screen.text
    assert "Traceback" not in screen.text


def test_no_word_of_a_table_is_cut_at_80_columns(
    run_in_terminal: Start, in_terminal: Start
) -> None:
    with run_in_terminal() as screen:
        assert screen.wait() == 0
    with in_terminal("report", "show", "--date", DAY.isoformat(), "--rows", "2") as screen:
        assert screen.wait() == 0
    for words in ("Overall ESG Score", "Environmental Score", "Analysis Date", "Successful"):
        assert words in screen.text
    with in_terminal("status") as screen:
        assert screen.wait() == 0
    for words in (str(DAY), "delivered", "Successful", "Seconds"):
        assert words in screen.text
    assert "…" not in screen.text
