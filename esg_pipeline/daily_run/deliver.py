"""Delivering an edition, and making one again: from checked rows to verified, signed files."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from esg_pipeline import __version__, clock
from esg_pipeline.daily_run.claim import MATERIALIZE_ALL, Claim
from esg_pipeline.daily_run.errors import DeadlineExceeded, NotBegun, NothingToRebuild
from esg_pipeline.daily_run.frozen_list import check_frozen, read_snapshot
from esg_pipeline.daily_run.summarise import Summary, summarise
from esg_pipeline.daily_run.when_to_alert import alert_delivered
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
from esg_pipeline.delivery.layout import ERRORS_SUFFIX, REPORT_SUFFIX, accounts_name
from esg_pipeline.ledger import Edition, Ledger
from esg_pipeline.ratings import ProcessingStatus, count_statuses
from esg_pipeline.report import build_report, changed_cells, format_error_log, format_report
from esg_pipeline.settings import Settings

log = logging.getLogger(__name__)

MANIFEST_CHANGES = 1000
"""Changed cells a manifest names one by one; the ledger has all of them."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One delivered edition.

    Attributes:
        manifest: As written to the store.
        counts: Accounts per status.
        summary: None when it could not be made.
    """

    manifest: Manifest
    counts: dict[ProcessingStatus, int]
    summary: Summary | None


def deliver_edition(
    claim: Claim,
    settings: Settings,
    store: Store,
    accounts: pa.Table,
    ratings: pa.Table,
    report: pa.Table,
) -> Delivered:
    """Format the checked report and put it, verified, before its readers; manifest last.

    A store that refuses leaves a sealed copy under the Dagster home; the next run of the date
    delivers, from the ledger, without a new API call.

    Args:
        accounts: The frozen list of the edition.
        ratings: What the ledger has for it, RATINGS_SCHEMA.
        report: Made of both.

    Raises:
        NotBegun: accounts or ratings are not those of the edition.
        DeliveryError: the store refused; the readers still have the last good edition.
        DeadlineExceeded: it is too late for this run to publish.
        LeaseLost: another run took the date over; nothing was published.
    """
    edition = claim.edition
    accounts_sha256 = check_frozen(claim, accounts)
    if not ratings.equals(claim.ledger.results.ratings(edition)):
        raise NotBegun(
            f"{claim.day}: esg_scores is not what edition {edition.number} was rated with. "
            f"{MATERIALIZE_ALL}"
        )
    counts = count_statuses(ratings)
    signer = open_signer(settings.keys_folder)
    files = _format_files(report, ratings, _format(settings))
    changed = _changes(claim, store, report)
    summary = _summarise(claim, settings, accounts, ratings, files[REPORT_SUFFIX], changed, signer)
    if summary is not None:
        files |= summary.files
    facts = DeliveryFacts(
        day=claim.day,
        edition=edition.number,
        run_id=edition.run_id,
        code_version=__version__,
        rows=report.num_rows,
        counts={status.value: count for status, count in counts.items()},
        accounts_sha256=accounts_sha256,
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
            fence=_fence(claim),
            now=clock.now_utc(),
        )
    except DeliveryError as error:
        raise DeliveryError(f"{error}. {_keep_sealed(settings, files, facts)}") from error
    with claim.lease.fence():
        claim.ledger.editions.mark_delivered(claim.lease, edition, manifest=manifest)
        metrics = {} if summary is None else summary.metrics
        claim.ledger.editions.set_metrics(
            claim.lease, edition, {**metrics, "format": _format(settings)}
        )
        alert_delivered(claim, settings, ratings)
    _discard_sealed(settings, claim.day)
    return Delivered(manifest, counts, summary)


def _discard_sealed(settings: Settings, day: date) -> None:
    """Remove sealed copies of a date that is delivered now; they are no longer of use."""
    try:
        for sealed in pending_sealed(settings):
            if sealed.facts.day == day:
                sealed.discard()
    except DeliveryError as error:
        log.warning("%s: the sealed copy is still there: %s", day, error)


@contextmanager
def _fence(claim: Claim) -> Iterator[None]:
    """Prove, in the moment of publishing, that the date is still ours and its time not over."""
    with claim.lease.fence():
        if clock.now_utc() >= claim.window.deadline_at:
            raise DeadlineExceeded(
                f"{claim.day}: the deadline passed before the report could be published; nothing "
                f"was. `esg-pipeline run --date {claim.day}` delivers it without a new API call."
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


def _format(settings: Settings) -> dict[str, bool]:
    """How the report is written; kept with the edition, so that it can be made again later."""
    return {"bom": settings.report_bom, "formula_guard": settings.report_formula_guard}


def _format_files(report: pa.Table, ratings: pa.Table, how: Mapping[str, bool]) -> dict[str, bytes]:
    """The plain contents of an edition's files, by suffix; the same inputs give the same bytes."""
    return {
        REPORT_SUFFIX: format_report(report, **how),
        ERRORS_SUFFIX: format_error_log(ratings),
    }


def rebuild_files(
    ledger: Ledger, store: Store, settings: Settings, day: date, number: int | None = None
) -> tuple[Edition, dict[str, bytes]]:
    """Make an edition's files again, from the ledger's results and the frozen account list.

    Args:
        number: Edition; default the newest delivered.

    Raises:
        NothingToRebuild: not delivered, or its account list is not on the store.
    """
    edition = (
        ledger.editions.newest_delivered(day)
        if number is None
        else ledger.editions.find(day, number)
    )
    if edition is None or edition.manifest is None:
        raise NothingToRebuild(f"{day}: edition {number or ''} is not delivered".replace("  ", " "))
    accounts = read_snapshot(store, edition)
    if accounts is None:
        raise NothingToRebuild(
            f"{day}: the account list of edition {edition.number} is not on the store "
            f"({accounts_name(day, edition.number)})"
        )
    ratings = ledger.results.ratings(edition)
    how = edition.metrics.get("format") or _format(settings)
    return edition, _format_files(build_report(accounts, ratings), ratings, how)


def _summarise(
    claim: Claim,
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
            claim.ledger,
            settings,
            claim.edition,
            accounts,
            ratings,
            report=report,
            changed_cells=None if changed is None else changed.num_rows,
            key_fingerprint=signer.fingerprint,
            deadline_at=claim.window.deadline_at,
            now=clock.now_utc(),
        )
    except Exception as error:
        log.error("%s: the summary cannot be made: %s", claim.day, type(error).__name__)
        return None


def _changes(claim: Claim, store: Store, report: pa.Table) -> pa.Table | None:
    """The cells that differ from the edition before; None when there is none to compare with."""
    if claim.edition.previous is None:
        return None
    before = claim.ledger.editions.find(claim.day, claim.edition.previous)
    accounts = None if before is None else read_snapshot(store, before)
    if before is None or accounts is None:
        return None
    return changed_cells(build_report(accounts, claim.ledger.results.ratings(before)), report)


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
