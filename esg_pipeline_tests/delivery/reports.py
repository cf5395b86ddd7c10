"""Small days to deliver: reports as the report stage writes them, and the facts about them."""

import contextlib
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from esg_pipeline.delivery import DeliveryFacts, Manifest, Signer, Store, deliver

REPOSITORY = Path(__file__).parents[2]
"""Where a process of its own finds this package."""
DAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 13, 30, tzinfo=UTC)
CANARY = "Canary & Søns Ældre Pension 7f3a"
HEADER = (
    "Account ID,Account Name,Overall ESG Score,Environmental Score,Social Score,Governance Score,"
    "Primary ESG Focus,Primary Focus Score,Analysis Date,Processing Status\r\n"
)
ERRORS_HEADER = "Account ID,Reason,HTTP Status,Attempts,Message,Timestamp\r\n"


def report_files(*, successful: int = 17, partial: int = 2, failed: int = 1) -> dict[str, bytes]:
    """The files of a day by suffix. Every account name holds the canary."""
    statuses = ["Successful"] * successful + ["Partial"] * partial + ["Failed"] * failed
    report, errors = [HEADER], [ERRORS_HEADER]
    for number, status in enumerate(statuses):
        cells = "N/A," * 6 + "N/A" if status == "Failed" else "72.68,70.00,60.11,N/A,N/A,N/A,N/A"
        report.append(f'A{number:07},"{CANARY}, ""{number}""",{cells},{status}\r\n')
        if status != "Successful":
            errors.append(f"A{number:07},timeout,,3,no answer,2026-11-24T12:00:00+00:00\r\n")
    return {".csv": "".join(report).encode(), "_errors.csv": "".join(errors).encode()}


def facts(
    edition: int = 1, *, successful: int = 17, partial: int = 2, failed: int = 1
) -> DeliveryFacts:
    return DeliveryFacts(
        day=DAY,
        edition=edition,
        run_id="run-1",
        code_version="0.1.0",
        rows=successful + partial + failed,
        counts={"Successful": successful, "Partial": partial, "Failed": failed},
        accounts_sha256="ab" * 32,
        label="scheduled",
        previous_edition=edition - 1 or None,
    )


def deliver_day(
    store: Store,
    signer: Signer,
    edition: int = 1,
    *,
    day: date = DAY,
    fence: contextlib.AbstractContextManager[object] | None = None,
    now: datetime = NOW,
    **counts: int,
) -> Manifest:
    """Deliver a small day; a later edition of it has other content when its counts differ."""
    return deliver(
        store,
        report_files(**counts),
        replace(facts(edition, **counts), day=day),
        signer=signer,
        fence=fence or contextlib.nullcontext(),
        now=now,
    )
