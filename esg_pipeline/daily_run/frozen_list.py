"""Freezing the account list of an edition: read once, checked, kept, the same for every resume."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from esg_pipeline import clock
from esg_pipeline.accounts import (
    AccountSource,
    AccountSourceError,
    account_list_sha256,
    look_alike_ids,
    read_with_patience,
)
from esg_pipeline.daily_run.claim import MATERIALIZE_ALL, Claim
from esg_pipeline.daily_run.errors import NotBegun
from esg_pipeline.daily_run.list_release import release_or_wait
from esg_pipeline.delivery import DeliveryInvalid, MissingFromStore, Store, open_signer
from esg_pipeline.delivery.layout import accounts_name
from esg_pipeline.delivery.parquet import from_parquet, to_parquet
from esg_pipeline.ledger import Edition
from esg_pipeline.settings import Settings

log = logging.getLogger(__name__)

SOURCE_PATIENCE = timedelta(minutes=30)
"""How long a scheduled run waits for an account source that is down (docs/faults.md#b3)."""


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
    claim: Claim, settings: Settings, source: AccountSource, store: Store, on_wait: OnWait
) -> FrozenAccounts:
    """Check the store, read the list once, and keep it for the edition.

    A resumed edition keeps its list; a rerun of some accounts keeps the list of the edition it
    amends. Keys and store are tried first, so that what would fail at the end is found before any
    call.

    Raises:
        DeliveryError: the store cannot be used.
        AccountSourceError: the source is down or its list is wrong.
        AccountListHeld: the list shrank by more than `ESG_ACCOUNTS_MAX_DROP` and nobody
            released it (docs/design.md#account-list).
    """
    open_signer(settings.keys_folder)
    store.preflight()
    store.sweep(claim.day, now=clock.now_utc())
    previous = claim.ledger.editions.previous_account_count(claim.day)
    frozen = _frozen_list(claim, store)
    table = frozen if frozen is not None else _read_list(claim, source, on_wait)
    if frozen is None:
        release_or_wait(claim, settings, table.num_rows, previous)
    sha256 = account_list_sha256(table)
    store.write(accounts_name(claim.day, claim.edition.number), to_parquet(table))
    claim.ledger.editions.set_accounts(
        claim.lease, claim.edition, count=table.num_rows, sha256=sha256
    )
    claim.ledger.results.forget_other_accounts(
        claim.lease, claim.edition, table["account_id"].to_pylist()
    )
    return FrozenAccounts(table, previous, look_alike_ids(table), frozen is not None)


def check_frozen(claim: Claim, accounts: pa.Table) -> str:
    """Check that these accounts are the frozen list of the edition; return its hash.

    Raises:
        NotBegun: they are of another run.
    """
    sha256 = account_list_sha256(accounts)
    edition = claim.ledger.editions.find(claim.day, claim.edition.number)
    if edition is None or edition.accounts_sha256 != sha256:
        raise NotBegun(
            f"{claim.day}: active_accounts is not the list of edition {claim.edition.number}. "
            f"{MATERIALIZE_ALL}"
        )
    return sha256


def read_snapshot(store: Store, edition: Edition) -> pa.Table | None:
    """The account list an edition was made for, or None if it is not on the store, whole."""
    name = accounts_name(edition.day, edition.number)
    if edition.accounts_sha256 is None:
        return None
    try:
        table = from_parquet(store.read(name))
    except MissingFromStore:
        return None
    except (DeliveryInvalid, pa.ArrowException) as error:
        log.error("%s: cannot be used: %s", name, error)
        return None
    return table if account_list_sha256(table) == edition.accounts_sha256 else None


def _frozen_list(claim: Claim, store: Store) -> pa.Table | None:
    own = read_snapshot(store, claim.edition)
    if own is not None or claim.edition.mode == "full" or claim.edition.previous is None:
        return own
    amended = claim.ledger.editions.find(claim.day, claim.edition.previous)
    return None if amended is None else read_snapshot(store, amended)


def _read_list(claim: Claim, source: AccountSource, on_wait: OnWait) -> pa.Table:
    patience = timedelta(0) if claim.window.label == "manual" else SOURCE_PATIENCE
    time_left = claim.window.calls_end_at - clock.now_utc()
    return read_with_patience(
        source, patience_s=min(patience, time_left).total_seconds(), on_wait=on_wait
    )
