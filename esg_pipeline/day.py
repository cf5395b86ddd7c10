"""The steps of one day's run, each joining stages: freeze the list, score it, deliver the report.

This is where the stages meet; the Dagster assets and the command line both call it. No rule of a
single stage belongs here, and nothing of Dagster.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from esg_pipeline import __version__, clock
from esg_pipeline.accounts import (
    AccountSource,
    AccountSourceError,
    account_list_sha256,
    look_alike_ids,
    read_with_patience,
)
from esg_pipeline.day_summary import Summary, summarise
from esg_pipeline.delivery import (
    DeliveryError,
    DeliveryFacts,
    Manifest,
    Signer,
    Store,
    deliver,
    open_signer,
    pending_sealed,
    seal_locally,
)
from esg_pipeline.ledger import Edition, Lease, Ledger
from esg_pipeline.parquet import from_parquet, to_parquet
from esg_pipeline.ratings import ProcessingStatus, Reason
from esg_pipeline.report import (
    build_report,
    changed_cells,
    format_error_log,
    format_report,
)
from esg_pipeline.scoring import Progress, ScoringOutcome, score_accounts
from esg_pipeline.settings import Settings
from esg_pipeline.summary import Drift

log = logging.getLogger(__name__)

SOURCE_PATIENCE = timedelta(minutes=30)
"""How long a scheduled run waits for an account source that is down (FAULTS B3)."""

MANIFEST_CHANGES = 1000
"""Changed cells a manifest names one by one; the ledger has all of them."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a person (or the schedule) asked this run to do.

    Attributes:
        failed_only: Ask again for the accounts that Failed in the newest edition.
        accounts: Ask again for these account ids only.
        by: Who asked.
        reason: Why; with `by` it also releases a held account list.
    """

    failed_only: bool = False
    accounts: tuple[str, ...] = ()
    by: str | None = None
    reason: str | None = None

    @property
    def mode(self) -> str:
        """The edition mode: full, failed_only or accounts."""
        if self.accounts:
            return "accounts"
        return "failed_only" if self.failed_only else "full"


@dataclass(frozen=True, slots=True)
class DayHold:
    """A date held by one run: its lease, its edition and the time it may use."""

    day: date
    ledger: Ledger
    lease: Lease
    edition: Edition
    window: clock.RunWindow
    request: RunRequest


class AlreadyDelivered(Exception):
    """This run's own edition is delivered; a retry after a late crash has nothing left to do."""


class NothingToAskAgain(Exception):
    """A rerun of some accounts was asked for, but the date has none to give.

    Attributes:
        is_fine: There is nothing to do because no account Failed.
    """

    def __init__(self, message: str, *, is_fine: bool = False) -> None:
        super().__init__(message)
        self.is_fine = is_fine


class DeadlineExceeded(Exception):
    """The time of the run was over before its report was before the readers (DESIGN §2)."""


class AccountListHeld(Exception):
    """The list shrank too much; a named person must release it before any call is made."""


def hold_day(
    ledger: Ledger,
    day: date,
    request: RunRequest,
    *,
    run_id: str,
    root_run_id: str,
    scheduled: bool,
    settings: Settings,
) -> DayHold:
    """Take the date for a run and open its edition, or resume the one a dead run left.

    Raises:
        LeaseHeld: another run works on this date.
        WindowHasPassed: the schedule's run, after the deadline.
        AlreadyDelivered: an automatic retry of a run that had delivered.
        NothingToAskAgain: failed-only or single accounts, and the date has no such results.
        LedgerUnavailable: the database does not answer.
    """
    window = clock.run_window(
        day,
        clock.now_utc(),
        deadline=settings.report_deadline,
        reserve_s=settings.deadline_reserve,
        scheduled=scheduled,
    )
    lease = ledger.acquire_lease(day, run_id=run_id)
    lease.start_heartbeat()
    try:
        newest = ledger.newest_delivered(day)
        if newest is not None and newest.root_run_id == root_run_id:
            raise AlreadyDelivered(f"{day}: edition {newest.number} of this run is delivered")
        if request.mode != "full":
            check_can_ask_again(ledger, day, request)
        edition = ledger.open_edition(
            lease,
            run_id=run_id,
            root_run_id=root_run_id,
            mode=request.mode,
            asked_by=request.by,
            reason=request.reason,
            label=window.label,
            code_version=__version__,
            reask=request.accounts or None,
            deadline_at=window.deadline_at,
        )
    except BaseException:
        lease.release()
        raise
    return DayHold(day, ledger, lease, edition, window, request)


def check_can_ask_again(ledger: Ledger, day: date, request: RunRequest) -> None:
    """Check that the newest edition has the accounts that are to be asked again.

    Raises:
        NothingToAskAgain: no edition, no Failed account, or ids that are not in it.
    """
    newest = ledger.newest_delivered(day)
    if newest is None:
        raise NothingToAskAgain(
            f"{day}: no edition is delivered yet, so there is nothing to ask again. "
            f"Run `esg-pipeline run --date {day}` first."
        )
    if request.failed_only and not newest.failed:
        raise NothingToAskAgain(
            f"{day}: no account Failed in edition {newest.number}; it stands.", is_fine=True
        )
    known = set(ledger.ratings(newest)["account_id"].to_pylist()) if request.accounts else set()
    strangers = sorted(set(request.accounts) - known)
    if strangers:
        raise NothingToAskAgain(
            f"{day}: not among the active accounts of edition {newest.number}: "
            f"{', '.join(strangers)}"
        )


@dataclass(frozen=True, slots=True)
class FrozenAccounts:
    """The account list of one edition, as it will stay.

    Attributes:
        table: ACCOUNTS_SCHEMA.
        previous: Date and size of the last delivered list before this date, if any.
        look_alikes: Groups of ids that differ only in case, space or Unicode form.
        is_resumed: The list was frozen by an earlier run.
    """

    table: pa.Table
    previous: tuple[date, int] | None
    look_alikes: list[tuple[str, ...]]
    is_resumed: bool


OnWait = Callable[[AccountSourceError, float], None]
"""Told each error of a source that is waited for, and the seconds until the next try."""


def freeze_accounts(
    hold: DayHold, settings: Settings, source: AccountSource, store: Store, on_wait: OnWait
) -> FrozenAccounts:
    """Check the store, read the list once, and keep it for the edition.

    A resumed edition keeps its list; a rerun of some accounts keeps the list of the edition it
    amends. The store is tried first, so that one that cannot be written is found before any call.

    Raises:
        DeliveryError: the store cannot be used.
        AccountSourceError: the source is down or its list is wrong.
        AccountListHeld: the list shrank by more than `ESG_ACCOUNTS_MAX_DROP` and nobody
            released it (DESIGN §4).
    """
    store.preflight()
    store.sweep(hold.day, now=clock.now_utc())
    previous = hold.ledger.previous_account_count(hold.day)
    frozen = _frozen_list(hold, store)
    table = frozen if frozen is not None else _read_list(hold, source, on_wait)
    if frozen is None:
        _hold_a_shrunken_list(hold, settings, table.num_rows, previous)
    sha256 = account_list_sha256(table)
    store.write(snapshot_name(hold.edition), to_parquet(table))
    hold.ledger.set_accounts(hold.lease, hold.edition, count=table.num_rows, sha256=sha256)
    hold.ledger.forget_other_accounts(hold.lease, hold.edition, table["account_id"].to_pylist())
    return FrozenAccounts(table, previous, look_alike_ids(table), frozen is not None)


def snapshot_name(edition: Edition) -> str:
    """Where an edition's account list lies on the store."""
    return f"editions/{edition.day:%Y%m%d}/{edition.number:04d}/accounts.parquet"


def read_snapshot(store: Store, edition: Edition) -> pa.Table | None:
    """The account list an edition was made for, or None if it is not on the store, whole."""
    name = snapshot_name(edition)
    if edition.accounts_sha256 is None or not store.exists(name):
        return None
    table = from_parquet(store.read(name))
    return table if account_list_sha256(table) == edition.accounts_sha256 else None


def _frozen_list(hold: DayHold, store: Store) -> pa.Table | None:
    own = read_snapshot(store, hold.edition)
    if own is not None or hold.edition.mode == "full" or hold.edition.previous is None:
        return own
    amended = hold.ledger.edition(hold.day, hold.edition.previous)
    return None if amended is None else read_snapshot(store, amended)


def _read_list(hold: DayHold, source: AccountSource, on_wait: OnWait) -> pa.Table:
    patience = timedelta(0) if hold.window.label == "manual" else SOURCE_PATIENCE
    time_left = hold.window.calls_end_at - clock.now_utc()
    return read_with_patience(
        source, patience_s=min(patience, time_left).total_seconds(), on_wait=on_wait
    )


def _hold_a_shrunken_list(
    hold: DayHold, settings: Settings, count: int, previous: tuple[date, int] | None
) -> None:
    if previous is None or count >= previous[1] * (1 - settings.accounts_max_drop):
        return
    facts = f"{count} active accounts, {previous[1]} on {previous[0]}"
    if hold.request.by and hold.request.reason:
        hold.ledger.audit(
            hold.request.by,
            "release_account_list",
            day=hold.day,
            edition=hold.edition.number,
            outcome="released",
            details={"reason": hold.request.reason, "count": count, "previous": previous[1]},
        )
        return
    hold.ledger.mark_held(hold.lease, hold.edition, facts)
    raise AccountListHeld(
        f"{hold.day}: held before any call: {facts}, a drop of more than "
        f"{settings.accounts_max_drop:.0%} (ESG_ACCOUNTS_MAX_DROP). If the list is right, release "
        f"it: esg-pipeline run --date {hold.day} --by NAME --reason TEXT"
    )


def score_edition(
    hold: DayHold,
    settings: Settings,
    accounts: pa.Table,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[pa.Table, ScoringOutcome]:
    """Ask for what the edition still misses; give every account's rating (RATINGS_SCHEMA).

    Accounts that were not reached in time become Failed with reason `deadline`.

    Raises:
        ApiUnauthorized, ApiUntrusted, LeaseLost, LedgerUnavailable: the run must stop.
    """
    outcome = score_accounts(
        accounts,
        settings=settings,
        day=hold.day,
        writer=hold.ledger.writer(hold.lease, hold.edition),
        resume=hold.ledger.resume_state(hold.edition),
        calls_end_at=hold.window.calls_end_at,
        deadline_at=hold.window.deadline_at,
        on_progress=on_progress,
    )
    hold.ledger.fail_unanswered(
        hold.lease,
        hold.edition,
        accounts["account_id"].to_pylist(),
        reason=Reason.DEADLINE,
        message="not reached before the calls had to end",
        now=clock.now_utc(),
    )
    return hold.ledger.ratings(hold.edition), outcome


@dataclass(frozen=True, slots=True)
class Delivered:
    """One delivered edition.

    Attributes:
        manifest: As written to the store.
        counts: Accounts per status.
        drift: How the scores moved; None when the summary could not be made.
    """

    manifest: Manifest
    counts: dict[ProcessingStatus, int]
    drift: Drift | None


def count_statuses(ratings: pa.Table) -> dict[ProcessingStatus, int]:
    """Accounts per status, zeros included."""
    found = {row["values"]: row["counts"] for row in ratings["status"].value_counts().to_pylist()}
    return {status: found.get(status.value, 0) for status in ProcessingStatus}


def deliver_edition(
    hold: DayHold,
    settings: Settings,
    store: Store,
    accounts: pa.Table,
    report: pa.Table,
    on_delivered: Callable[[pa.Table], None],
) -> Delivered:
    """Format the checked report and put it, verified, before its readers; manifest last.

    A store that refuses leaves a sealed copy under the Dagster home; the next run of the date
    delivers, from the ledger, without a new API call.

    Args:
        on_delivered: Called with the ratings in the transaction that marks the delivery.

    Raises:
        DeliveryError: the store refused; the readers still have the last good edition.
        DeadlineExceeded: it is too late for this run to publish.
        LeaseLost: another run took the date over; nothing was published.
    """
    edition = hold.edition
    ratings = hold.ledger.ratings(edition)
    counts = count_statuses(ratings)
    signer = open_signer(settings.keys_folder)
    files = _format_files(settings, report, ratings)
    changed = _changes(hold, store, report)
    summary = _summarise(hold, settings, accounts, ratings, files[".csv"], changed, signer)
    if summary is not None:
        files |= summary.files
    facts = DeliveryFacts(
        day=hold.day,
        edition=edition.number,
        run_id=edition.run_id,
        code_version=__version__,
        rows=report.num_rows,
        counts={status.value: count for status, count in counts.items()},
        accounts_sha256=account_list_sha256(accounts),
        asked_by=edition.asked_by,
        reason=edition.reason,
        label=edition.label,
        changes=_named_changes(changed),
        previous_edition=edition.previous,
    )
    try:
        manifest = deliver(
            store,
            files,
            facts,
            signer=signer,
            fence=_fence(hold),
            now=clock.now_utc(),
        )
    except DeliveryError as error:
        raise DeliveryError(f"{error}. {_keep_sealed(settings, files, facts)}") from error
    with hold.lease.fence():
        hold.ledger.mark_delivered(hold.lease, edition, manifest=manifest)
        if summary is not None:
            hold.ledger.set_metrics(hold.lease, edition, summary.metrics)
        on_delivered(ratings)
    for sealed in pending_sealed(settings):
        if sealed.facts.day == hold.day:
            sealed.discard()
    return Delivered(manifest, counts, None if summary is None else summary.drift)


@contextmanager
def _fence(hold: DayHold) -> Iterator[None]:
    """Prove, in the moment of publishing, that the date is still ours and its time not over."""
    with hold.lease.fence():
        if clock.now_utc() >= hold.window.deadline_at:
            raise DeadlineExceeded(
                f"{hold.day}: the deadline passed before the report could be published; nothing "
                f"was. `esg-pipeline run --date {hold.day}` delivers it without a new API call."
            )
        yield


def _keep_sealed(settings: Settings, files: dict[str, bytes], facts: DeliveryFacts) -> str:
    try:
        folder = seal_locally(settings, files, facts)
    except DeliveryError as error:
        return f"No sealed copy could be kept either: {error}"
    return (
        f"A sealed copy is in {folder}. Once the store works, `esg-pipeline run --date "
        f"{facts.day}` delivers without a new API call"
    )


def _format_files(settings: Settings, report: pa.Table, ratings: pa.Table) -> dict[str, bytes]:
    """The plain contents of an edition's files, by suffix; the same inputs give the same bytes."""
    return {
        ".csv": format_report(
            report, bom=settings.report_bom, formula_guard=settings.report_formula_guard
        ),
        "_errors.csv": format_error_log(ratings),
    }


class NothingToRebuild(Exception):
    """The ledger or the store lacks what an edition was made of."""


def rebuild_files(
    ledger: Ledger, store: Store, settings: Settings, day: date, number: int | None = None
) -> tuple[Edition, dict[str, bytes]]:
    """Make an edition's files again, from the ledger's results and the frozen account list.

    Args:
        number: Edition; default the newest delivered.

    Raises:
        NothingToRebuild: not delivered, or its account list is not on the store.
    """
    edition = ledger.newest_delivered(day) if number is None else ledger.edition(day, number)
    if edition is None or edition.manifest is None:
        raise NothingToRebuild(f"{day}: edition {number or ''} is not delivered".replace("  ", " "))
    accounts = read_snapshot(store, edition)
    if accounts is None:
        raise NothingToRebuild(
            f"{day}: the account list of edition {edition.number} is not on the store "
            f"({snapshot_name(edition)})"
        )
    ratings = ledger.ratings(edition)
    return edition, _format_files(settings, build_report(accounts, ratings), ratings)


def _summarise(
    hold: DayHold,
    settings: Settings,
    accounts: pa.Table,
    ratings: pa.Table,
    report: bytes,
    changed: pa.Table | None,
    signer: Signer,
) -> Summary | None:
    """The summary, or None: a page that cannot be made must not keep the report back."""
    try:
        return summarise(
            hold.ledger,
            settings,
            hold.edition,
            accounts,
            ratings,
            report=report,
            changed_cells=None if changed is None else changed.num_rows,
            key_fingerprint=signer.fingerprint,
            deadline_at=hold.window.deadline_at,
            now=clock.now_utc(),
        )
    except Exception as error:
        log.error("%s: the summary cannot be made: %s", hold.day, type(error).__name__)
        return None


def _changes(hold: DayHold, store: Store, report: pa.Table) -> pa.Table | None:
    """The cells that differ from the edition before; None when there is none to compare with."""
    if hold.edition.previous is None:
        return None
    before = hold.ledger.edition(hold.day, hold.edition.previous)
    accounts = None if before is None else read_snapshot(store, before)
    if before is None or accounts is None:
        return None
    return changed_cells(build_report(accounts, hold.ledger.ratings(before)), report)


def _named_changes(changed: pa.Table | None) -> list[dict[str, Any]]:
    """Ids and columns for the manifest, which is plain and bounded."""
    if changed is None:
        return []
    shown: list[dict[str, Any]] = (
        changed.slice(0, MANIFEST_CHANGES).select(["account_id", "column"]).to_pylist()
    )
    if changed.num_rows > MANIFEST_CHANGES:
        shown.append({"more_cells": changed.num_rows - MANIFEST_CHANGES})
    return shown
