"""Accounts that become Failed without another call, and why."""

import logging

from esg_pipeline.ratings import Reason
from esg_pipeline.scoring.attempts import Attempts
from esg_pipeline.scoring.work_list import WorkList

log = logging.getLogger("esg_pipeline.scoring")


def cut_off(work: WorkList, attempts: Attempts) -> None:
    """At the start: accounts whose attempts an earlier run has spent, or that kill runs."""
    for item in work.items(work.take_exhausted()):
        deaths = work.cut_off[item.row]
        message = "a run was cut off during the last attempt"
        if deaths > 1:
            message = f"{deaths} runs died while this account was asked"
            log.warning("account %a is given up: %s", item.account_id, message)
        attempts.write_off(item, Reason.CONNECTION, None, message)


def outage(work: WorkList, attempts: Attempts, rows: list[int], outage_reason: Reason) -> None:
    """The outage outlasted the patience: accounts are Failed for what failed them last, or it."""
    for item in work.items(rows):
        reason, http_status = work.last_failure(item.row)
        message = "given up: the API was down"
        attempts.write_off(item, reason or outage_reason, http_status, message)


def throttled(work: WorkList, attempts: Attempts) -> None:
    """At the end of the time: accounts that were told to slow down to the last."""
    for item in work.items(work.throttled_last()):
        reason, http_status = work.last_failure(item.row)
        message = "told to slow down until the calls had to end"
        attempts.write_off(item, reason, http_status, message)
