"""Every resource can be replaced: a day with settings, source, API, store and ledger of a test."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from esg_pipeline import clock
from esg_pipeline.accounts import AccountSource
from esg_pipeline.daily_run import Claim
from esg_pipeline.defs.frames import StoreParquetIOManager
from esg_pipeline.defs.resources import (
    AccountSourceResource,
    EsgApiResource,
    LedgerResource,
    SettingsResource,
    StoreResource,
)
from esg_pipeline.defs.this_run import RunResource
from esg_pipeline.delivery import Store, open_store
from esg_pipeline.delivery.layout import report_name
from esg_pipeline.ledger import Ledger
from esg_pipeline.ratings import ACCOUNTS_SCHEMA, ProcessingStatus, Rating
from esg_pipeline.scoring import Ended, Progress, ScoringOutcome
from esg_pipeline.scoring.tally import Latency, Tally
from esg_pipeline.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Dagster's, about Dagster

IDS = ["0001", "0002", "0003"]


class OwnSettings(SettingsResource):
    """Settings that are given, not read."""

    home: str

    def load(self) -> Settings:
        return Settings(_env_file=None, DAGSTER_HOME=self.home, log_stdout=False)


class ThreeAccounts(AccountSourceResource):
    """A list in memory."""

    def open(self) -> AccountSource:
        return self

    def read_active_accounts(self) -> pa.Table:
        columns = [IDS, ["Ann", "Bob", "Cy"], [None] * 3, [None] * 3]
        return pa.table(columns, schema=ACCOUNTS_SCHEMA)

    def check(self) -> str:
        return "three accounts"


class NoApi(EsgApiResource):
    """Ratings without a call."""

    def score(
        self,
        claim: Claim,
        accounts: pa.Table,
        on_progress: Callable[[Progress], None] | None,
    ) -> tuple[pa.Table, ScoringOutcome]:
        writer = claim.ledger.results.writer(claim.lease, claim.edition)
        writer.record([rated(each) for each in accounts["account_id"].to_pylist()])
        done = Progress(
            total=3, answered=3, failed=0, calls=0, rate=0.0, throttled=0, pace=0.0,
            retries_waiting=0, paused=None, eta=None, outcomes=Counter(), latency=Latency(),
        )  # fmt: skip
        outcome = ScoringOutcome(Ended.COMPLETE, done, unanswered=0, seconds=1.0, tally=Tally())
        return claim.ledger.results.ratings(claim.edition), outcome


class OwnStore(StoreResource):
    """A store in a folder of its own."""

    folder: str

    def open(self) -> Store:
        elsewhere = {"store_url": f"file://{self.folder}"}
        return open_store(self.settings.load().model_copy(update=elsewhere))


class OwnLedger(LedgerResource):
    """A ledger in a file of its own."""

    file: str

    def open(self) -> Ledger:
        return Ledger.open(f"sqlite:///{self.file}")


def rated(account_id: str) -> Rating:
    return Rating(
        account_id=account_id, status=ProcessingStatus.SUCCESSFUL, reason=None, overall=7268,
        environmental=8100, social=6450, governance=7250, focus=None, focus_score=None,
        analysis_date=clock.business_date(datetime.now(UTC)), http_status=200, attempts=1,
        message="", finished_at=datetime.now(UTC),
    )  # fmt: skip


def test_each_resource_can_be_replaced_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from esg_pipeline.definitions import defs  # noqa: PLC0415 - warns on import

    monkeypatch.chdir(tmp_path)  # no .env lies here
    for part in ("home", "store"):
        (tmp_path / part).mkdir()
    settings = OwnSettings(home=str(tmp_path / "home"))
    store = OwnStore(settings=settings, folder=str(tmp_path / "store"))
    ledger = OwnLedger(settings=settings, file=str(tmp_path / "own.db"))
    day = clock.business_date(datetime.now(UTC)) - timedelta(days=1)
    done = dg.materialize(
        list(defs.assets or ()),
        partition_key=day.isoformat(),
        resources={
            "settings": settings,
            "account_source": ThreeAccounts(settings=settings),
            "esg_api": NoApi(settings=settings),
            "store": store,
            "frames": StoreParquetIOManager(store=store),
            "ledger": ledger,
            "this_run": RunResource(settings=settings, ledger=ledger),
        },
    )
    assert done.success
    report = store.open().read(report_name(day)).decode()
    assert [line.split(",")[:3] for line in report.splitlines()[1:]] == [
        ["0001", "Ann", "72.68"],
        ["0002", "Bob", "72.68"],
        ["0003", "Cy", "72.68"],
    ]
    opened = ledger.open()
    delivered = opened.editions.newest_delivered(day)
    opened.close()
    assert delivered is not None and delivered.successful == 3
    left_at_home = {path.name for path in (tmp_path / "home").iterdir()}
    assert not left_at_home & {"store", "ledger.db"}
