"""The whole system on one page: everything that is deployed, by name, in the data's order."""

import dagster as dg

from esg_pipeline.defs.assets import (
    active_accounts,
    daily_summary,
    esg_scores,
    esg_trend,
    failed_accounts,
    firm_esg_report,
)
from esg_pipeline.defs.frames import StoreParquetIOManager
from esg_pipeline.defs.resources import (
    AccountSourceResource,
    EsgApiResource,
    LedgerResource,
    SettingsResource,
    StoreResource,
)
from esg_pipeline.defs.schedule import daily_esg_ratings, every_day_at_five
from esg_pipeline.defs.sensors import alert_reconciler, hard_stop, lost_workers, start_watch
from esg_pipeline.defs.this_run import RunResource

settings = SettingsResource()
store = StoreResource(settings=settings)
ledger = LedgerResource(settings=settings)

defs = dg.Definitions(
    assets=[
        active_accounts,
        esg_scores,
        firm_esg_report,
        failed_accounts,
        daily_summary,
        esg_trend,
    ],
    jobs=[daily_esg_ratings],
    # Assets that a person materializes on Dagster's page share one claim on their date, too.
    executor=dg.in_process_executor,
    schedules=[every_day_at_five],
    sensors=[start_watch, hard_stop, lost_workers, alert_reconciler],
    resources={
        "settings": settings,
        "account_source": AccountSourceResource(settings=settings),
        "esg_api": EsgApiResource(settings=settings),
        "store": store,
        "frames": StoreParquetIOManager(store=store),
        "ledger": ledger,
        "this_run": RunResource(settings=settings, ledger=ledger),
    },
)
