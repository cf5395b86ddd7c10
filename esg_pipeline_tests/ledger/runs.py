"""The day, the runs and the ratings that the ledger's tests tell their stories with."""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import text

from esg_pipeline.ledger import Ledger
from esg_pipeline.ratings import Focus, ProcessingStatus, Rating, Reason

DAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


def run(run_id: str, mode: str = "full", **changes: Any) -> dict[str, Any]:
    """What `editions.open` is told about a run."""
    return {
        "run_id": run_id,
        "root_run_id": run_id,
        "mode": mode,
        "asked_by": None,
        "reason": None,
        "label": "scheduled",
        "code_version": "1.0",
    } | changes


FIRST_RUN = run("run-1")


def good(account_id: str, overall: int = 7268) -> Rating:
    """A Successful rating."""
    return Rating(
        account_id=account_id,
        status=ProcessingStatus.SUCCESSFUL,
        reason=None,
        overall=overall,
        environmental=0,
        social=10_000,
        governance=1,
        focus=Focus.SOCIAL,
        focus_score=10_000,
        analysis_date=DAY,
        http_status=200,
        attempts=1,
        message="",
        finished_at=NOON,
    )


def failed(account_id: str, message: str = "HTTP 404") -> Rating:
    """A Failed rating."""
    return Rating(
        account_id=account_id,
        status=ProcessingStatus.FAILED,
        reason=Reason.NOT_FOUND,
        overall=None,
        environmental=None,
        social=None,
        governance=None,
        focus=None,
        focus_score=None,
        analysis_date=None,
        http_status=404,
        attempts=1,
        message=message,
        finished_at=NOON,
    )


def statuses(ledger: Ledger, edition: Any) -> dict[str, str]:
    """Status by account id, in the order of the table."""
    table = ledger.results.ratings(edition)
    return dict(zip(table["account_id"].to_pylist(), table["status"].to_pylist(), strict=True))


def edit(ledger: Ledger, sql: str, **values: Any) -> None:
    """Change the ledger behind its back."""
    with ledger._database.engine.begin() as connection:
        connection.execute(text(sql), values)


def silence(ledger: Ledger, seconds: float) -> None:
    """Make the last heartbeat of `DAY` so much older."""
    edit(
        ledger,
        "UPDATE esg_leases SET heartbeat_at = heartbeat_at - :s WHERE day = :day",
        s=seconds,
        day=DAY.isoformat() if not ledger._database.is_postgresql else DAY,
    )
