"""The assets: active accounts → ESG scores → the delivered report, one partition a business day.

Thin: each takes its inputs, calls one step of the day and reports numbers. What may go wrong in a
known way ends as one clear line (`ends_clearly`), never as a stack trace first.
"""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pandas as pd
import pyarrow as pa
from pydantic import Field

from esg_pipeline.daily_run import (
    MATERIALIZE_ALL,
    NotBegun,
    RunOrder,
    deliver_edition,
    freeze_accounts,
    history,
    history_files,
)
from esg_pipeline.daily_run.endings import QUIET
from esg_pipeline.daily_run.progress import current_watcher
from esg_pipeline.daily_run.when_to_alert import ProgressAlerts, alert_source_down
from esg_pipeline.defs.checks import (
    ACCOUNT_LIST,
    DELIVERY_PROOF,
    DRIFT,
    FAILURE_SHARE,
    ONE_RESULT_PER_ACCOUNT,
    REPORT_FOLLOWS_SCHEMA,
    STALE_DATES,
    accounts_result,
    delivery_proof,
    drift_results,
    failure_share,
    one_result_per_account,
    stale_dates,
)
from esg_pipeline.defs.failed_step import ends_clearly, partition_date, tag_outcome
from esg_pipeline.defs.frames import to_frame, to_table
from esg_pipeline.defs.resources import (
    AccountSourceResource,
    EsgApiResource,
    SettingsResource,
    StoreResource,
)
from esg_pipeline.defs.this_run import RunResource
from esg_pipeline.delivery import DeliveryError, trusted_keys
from esg_pipeline.ratings import ACCOUNTS_SCHEMA, RATINGS_SCHEMA, ProcessingStatus
from esg_pipeline.report import ReportInvalid, build_report, validate_report
from esg_pipeline.report.summary import image_uri, trend_charts
from esg_pipeline.scoring import Progress

GROUP = "esg_ratings"
OWNERS = ("team:esg-development",)
HOLDS_NAMES = {"account-names": "encrypted"}
"""Tag of what holds account names, so that an administrator can find it."""
BY_NINE = dg.FreshnessPolicy.cron(
    deadline_cron="0 9 * * *", lower_bound_delta=timedelta(hours=4), timezone="America/Chicago"
)
"""A badge for who looks at the page; the alerts do not depend on it."""
PREVIEW_ROWS = 10
PREVIEW_COLUMNS = ["account_id", "status", "reason", "analysis_date", "http_status", "attempts"]
business_days = dg.DailyPartitionsDefinition(
    start_date="2020-01-01", timezone="America/Chicago", end_offset=1
)


def _address(settings: SettingsResource, name: str) -> dg.PathMetadataValue:
    """Where a delivered file lies."""
    return dg.MetadataValue.path(f"{settings.load().store_location}/{name}")


def _picture(title: str, image: str, legend: str = "") -> dg.MarkdownMetadataValue:
    """An image as metadata that Dagster's page draws."""
    return dg.MetadataValue.md(f"![{title}]({image})\n\n{legend}")


def _preview(ratings: pa.Table) -> dg.TableMetadataValue:
    """How the first accounts were rated; no names and no scores, anybody may see Dagster's page."""
    shown = ratings.slice(0, PREVIEW_ROWS).select(PREVIEW_COLUMNS)
    return dg.MetadataValue.table(
        [
            dg.TableRecord({key: "" if value is None else str(value) for key, value in row.items()})
            for row in shown.to_pylist()
        ],
        schema=dg.TableSchema([dg.TableColumn(name) for name in PREVIEW_COLUMNS]),
    )


class AskedFor(dg.Config):
    """What to ask again, and who wants it. Empty: the whole list."""

    failed_only: bool = False
    accounts: list[str] = Field(default_factory=list)
    by: str | None = None
    reason: str | None = None


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    partitions_def=business_days,
    io_manager_key="frames",
    output_required=False,
    check_specs=[ACCOUNT_LIST],
    kinds={"sql", "parquet"},
    tags=HOLDS_NAMES,
    description="The active accounts of the business date, frozen for the edition.",
)
def active_accounts(
    context: dg.AssetExecutionContext,
    config: AskedFor,
    settings: SettingsResource,
    this_run: RunResource,
    account_source: AccountSourceResource,
    store: StoreResource,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[pd.DataFrame]]:
    order = RunOrder(config.failed_only, tuple(config.accounts), config.by, config.reason)
    with ends_clearly(context, this_run):
        try:
            claim = this_run.claim(context.run, partition_date(context), order, store.open)
        except QUIET as ending:
            tag_outcome(context, ending)
            context.log.warning(str(ending))
            yield dg.AssetCheckResult(
                check_name=ACCOUNT_LIST.name, passed=True, metadata={"not_judged": str(ending)}
            )
            return
        if claim.edition.mode != order.mode:
            context.log.warning(
                f"edition {claim.edition.number} was begun as {claim.edition.mode} and is finished "
                f"so; ask for {order.mode} again when it is delivered"
            )
        frozen = freeze_accounts(
            claim, settings.load(), account_source.open(), store.open(), alert_source_down(claim)
        )
    with_focus = len(frozen.table) - frozen.table["primary_esg_focus"].null_count
    yield dg.MaterializeResult(
        value=to_frame(frozen.table),
        check_results=[accounts_result(frozen, settings.load().accounts_max_drop)],
        metadata={
            "edition": claim.edition.number,
            "accounts_with_focus": with_focus,
            "list_resumed": frozen.is_resumed,
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    partitions_def=business_days,
    io_manager_key="frames",
    check_specs=[ONE_RESULT_PER_ACCOUNT, STALE_DATES],
    kinds={"api", "parquet"},
    description="One rating, or the reason for none, of every active account.",
)
def esg_scores(
    context: dg.AssetExecutionContext,
    active_accounts: pd.DataFrame,
    settings: SettingsResource,
    this_run: RunResource,
    esg_api: EsgApiResource,
) -> Iterator[dg.MaterializeResult[pd.DataFrame]]:
    accounts = to_table(active_accounts, ACCOUNTS_SCHEMA)
    with ends_clearly(context, this_run):
        claim = this_run.claim(context.run, partition_date(context))
        alerts, watcher = ProgressAlerts(claim, settings.load()), current_watcher()

        def on_progress(progress: Progress) -> None:
            alerts(progress)
            this_run.observe(progress)
            if watcher is not None:
                watcher(progress)

        ratings, outcome = esg_api.score(claim, accounts, on_progress)
    yield dg.MaterializeResult(
        value=to_frame(ratings),
        check_results=[
            one_result_per_account(accounts, ratings),
            stale_dates(ratings, settings.load().api_max_staleness_days),
        ],
        metadata={
            "edition": claim.edition.number,
            **outcome.metadata(),
            "first_rows": _preview(ratings),
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    partitions_def=business_days,
    check_specs=[REPORT_FOLLOWS_SCHEMA, FAILURE_SHARE, *DRIFT, DELIVERY_PROOF],
    kinds={"csv"},
    tags=HOLDS_NAMES,
    freshness_policy=BY_NINE,
    description="FirmESGRatings_YYYYMMDD.csv, encrypted and verified, with its error log and "
    "signed manifest.",
)
def firm_esg_report(
    context: dg.AssetExecutionContext,
    active_accounts: pd.DataFrame,
    esg_scores: pd.DataFrame,
    settings: SettingsResource,
    this_run: RunResource,
    store: StoreResource,
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
    accounts = to_table(active_accounts, ACCOUNTS_SCHEMA)
    ratings = to_table(esg_scores, RATINGS_SCHEMA)
    with ends_clearly(context, this_run):
        claim = this_run.claim(context.run, partition_date(context))
        report = build_report(accounts, ratings)
        try:
            validate_report(report)
        except ReportInvalid as invalid:
            yield dg.AssetCheckResult(
                check_name=REPORT_FOLLOWS_SCHEMA.name,
                passed=False,
                metadata={"broken": str(invalid)},
            )
            raise
        yield dg.AssetCheckResult(
            check_name=REPORT_FOLLOWS_SCHEMA.name, passed=True, metadata={"rows": report.num_rows}
        )
        delivered = deliver_edition(claim, settings.load(), store.open(), accounts, ratings, report)
        this_run.delivered(delivered)
    yield failure_share(ratings, settings.load().failure_threshold)
    summary = delivered.summary
    yield from drift_results(summary.drift if summary else None)
    yield delivery_proof(store.open(), claim.day, trusted_keys(settings.load().keys_folder))
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": report.num_rows,
            "report": _address(settings, delivered.manifest["files"][0]["stored_name"]),
            "edition": claim.edition.number,
            **{status.value: count for status, count in delivered.counts.items()},
            **{
                title: _picture(title, image)
                for title, image in (summary.charts if summary else {}).items()
            },
            "files": delivered.manifest["files"],
        }
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    partitions_def=business_days,
    io_manager_key="frames",
    kinds={"parquet"},
    description="The accounts that are not Successful, with reason and attempts; no names.",
)
def failed_accounts(
    context: dg.AssetExecutionContext, esg_scores: pd.DataFrame
) -> dg.MaterializeResult[pd.DataFrame]:
    wrong = esg_scores[esg_scores["status"] != ProcessingStatus.SUCCESSFUL.value]
    by_reason = wrong.groupby(["status", "reason"]).size().reset_index(name="accounts")
    return dg.MaterializeResult(
        value=wrong.reset_index(drop=True),
        metadata={
            "by_reason": dg.MetadataValue.md(by_reason.to_markdown(index=False)),
            "first_rows": _preview(to_table(wrong, RATINGS_SCHEMA)),
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    partitions_def=business_days,
    deps=[firm_esg_report],
    kinds={"html"},
    tags=HOLDS_NAMES,
    freshness_policy=BY_NINE,
    description="FirmESGRatings_YYYYMMDD_summary.html and .json, delivered with the report: what "
    "compliance officers read.",
)
def daily_summary(
    context: dg.AssetExecutionContext, settings: SettingsResource, this_run: RunResource
) -> dg.MaterializeResult[None]:
    with ends_clearly(context, this_run):
        day = partition_date(context)
        newest = this_run.begin(context.run, day).editions.newest_delivered(day)
        if newest is None or newest.manifest is None:
            raise NotBegun(f"{day}: no report is delivered. {MATERIALIZE_ALL}")
        row = newest.metrics.get("day_row")
        if row is None:
            raise dg.Failure("the report was delivered without a summary; the log says why")
        names = [each["stored_name"] for each in newest.manifest["files"]]
    averages = {
        f"average_{name}": value for name, value in row["averages"].items() if value is not None
    }
    return dg.MaterializeResult(
        metadata={
            **averages,
            "accounts": row["accounts"],
            "failed": row["failed"],
            "duration_s": row["duration_s"],
            "calls": row["calls"],
            **{name: _address(settings, name) for name in names},
        }
    )


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    partitions_def=business_days,
    deps=[daily_summary],
    kinds={"html", "parquet"},
    description="The last 90 days as a page: averages, success, duration, calls, reasons; the "
    "numbers of all days in history/daily.parquet for BI tools.",
)
def esg_trend(
    context: dg.AssetExecutionContext, this_run: RunResource, store: StoreResource
) -> dg.MaterializeResult[None]:
    with ends_clearly(context, this_run):
        rows = history(this_run.begin(context.run, partition_date(context)))
        if not rows:
            raise NotBegun(f"no date is delivered yet. {MATERIALIZE_ALL}")
        try:
            opened = store.open()
            for name, content in history_files(rows).items():
                opened.write(name, content)
        except DeliveryError as error:
            # The report is delivered: a page that is a day old must not page anybody.
            raise dg.Failure(
                f"the trend page is not renewed: {error}", allow_retries=False
            ) from None
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(rows),
            **{
                each.title: _picture(each.title, image_uri(each.drawing), each.legend_in_words)
                for each in trend_charts(rows, last_day=rows[0].day)
            },
        }
    )
