"""`esg-pipeline status` is one screen: what is delivered, what was missed, what is still wrong."""

import re
from datetime import timedelta

import pytest

from esg_pipeline.clock import business_date, now_utc
from esg_pipeline_tests.end_to_end.command_here import command_here

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # Dagster uses much that is deprecated, its own too
)


def test_a_missed_day_between_two_delivered_ones_is_seen_and_so_is_an_open_alert(job, firm):
    last = business_date(now_utc()) - timedelta(days=1)
    first = last - timedelta(days=2)
    assert command_here(job, "run", "--date", str(first)).exit_code == 0
    firm.set_faults({"http_404": 0.5})
    assert command_here(job, "run", "--date", str(last)).exit_code == 3
    shown = command_here(job, "status").stdout
    states = dict(re.findall(r"(\d{4}-\d\d-\d\d) │ \d* +│ (\w+)", shown))
    assert states[str(first)] == states[str(last)] == "delivered"
    assert states[str(last - timedelta(days=1))] == "nothing"
    assert str(first - timedelta(days=1)) not in states
    assert re.search(rf"open alert: {last} failure_share, since [-\d]+ [:\d]+ CT\n", shown)


def test_what_readers_have_is_shown_while_a_newer_edition_is_not_delivered(job, firm):
    day = business_date(now_utc()) - timedelta(days=1)
    assert command_here(job, "run", "--date", str(day)).exit_code == 0
    assert command_here(job, "run", "--date", str(day), ESG_API_TOKEN="expired").exit_code == 1
    shown = command_here(job, "status").stdout
    assert re.search(rf"{day} │ 1 +│ delivered; edition 2 is open │ 60 ", shown)
