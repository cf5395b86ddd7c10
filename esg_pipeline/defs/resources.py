"""What the assets work with, each to be replaced by another in a test or for another environment.

Each reads its settings when a run starts, so that the code location loads without any, and holds no
secret in its configuration, so that none can reach the Dagster UI.
"""

from collections.abc import Callable

import dagster as dg
import pyarrow as pa
from pydantic import PrivateAttr

from esg_pipeline.accounts import AccountSource, open_account_source
from esg_pipeline.daily_run import Claim, score_edition
from esg_pipeline.defs.s3_client import s3_client
from esg_pipeline.delivery import Store, open_store
from esg_pipeline.ledger import Ledger
from esg_pipeline.scoring import Progress, ScoringOutcome
from esg_pipeline.settings import Settings, load_settings


class SettingsResource(dg.ConfigurableResource[None]):
    """The checked settings of this process."""

    _loaded: Settings | None = PrivateAttr(default=None)

    def load(self) -> Settings:
        """Read and check the settings once.

        Raises:
            SettingsError: a setting is unknown, wrong or missing.
        """
        if self._loaded is None:
            settings = load_settings()
            settings.require_for_run()
            self._loaded = settings
        return self._loaded


class AccountSourceResource(dg.ConfigurableResource[None]):
    """The account management system, as `ESG_ACCOUNTS_URL` names it."""

    settings: dg.ResourceDependency[SettingsResource]

    def open(self) -> AccountSource:
        return open_account_source(self.settings.load())


class StoreResource(dg.ConfigurableResource[None]):
    """The encrypted store that `ESG_STORE_URL` names."""

    settings: dg.ResourceDependency[SettingsResource]

    def open(self) -> Store:
        return open_store(self.settings.load(), s3_client=s3_client)


class EsgApiResource(dg.ConfigurableResource[None]):
    """The ESG Portfolio Analysis API; the calls themselves are the scoring engine's (aiohttp)."""

    settings: dg.ResourceDependency[SettingsResource]

    def score(
        self,
        claim: Claim,
        accounts: pa.Table,
        on_progress: Callable[[Progress], None] | None,
    ) -> tuple[pa.Table, ScoringOutcome]:
        """See `daily_run.score_edition`."""
        return score_edition(claim, self.settings.load(), accounts, on_progress)


class LedgerResource(dg.ConfigurableResource[None]):
    """The ledger that `ESG_LEDGER_URL` names."""

    settings: dg.ResourceDependency[SettingsResource]

    def open(self) -> Ledger:
        return Ledger.open(self.settings.load().ledger_location)
