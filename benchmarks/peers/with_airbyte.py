"""Airbyte's CDK: a low-code source, one partition for each account, read by its thread pool.

The rate limit is its own call budget; retries are its own. What it emits is counted, not written.
"""

import logging

from airbyte_cdk.models import (
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.declarative.concurrent_declarative_source import (
    ConcurrentDeclarativeSource,
)
from job import DAY, Job, measure


def manifest(job: Job) -> dict:
    base, _, path = job.url.partition("/portfolios")
    source = {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["ratings"]},
        "streams": [
            {
                "type": "DeclarativeStream",
                "name": "ratings",
                "primary_key": ["portfolio_id"],
                "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object"}},
                "retriever": {
                    "type": "SimpleRetriever",
                    "requester": {
                        "type": "HttpRequester",
                        "url_base": base,
                        "path": "/portfolios"
                        + path.replace("{account_id}", "{{ stream_partition.account_id }}"),
                        "http_method": "GET",
                        "request_parameters": {"analysis_date": DAY},
                    },
                    "record_selector": {
                        "type": "RecordSelector",
                        "extractor": {"type": "DpathExtractor", "field_path": []},
                    },
                    "partition_router": {
                        "type": "ListPartitionRouter",
                        "cursor_field": "account_id",
                        "values": job.ids(),
                    },
                },
            }
        ],
        "concurrency_level": {
            "type": "ConcurrencyLevel",
            "default_concurrency": job.workers,
            "max_concurrency": job.workers,
        },
    }
    if job.rate is not None:
        rate = {"type": "Rate", "limit": int(job.rate), "interval": "PT1S"}
        policy = {"type": "MovingWindowCallRatePolicy", "rates": [rate], "matchers": []}
        source["api_budget"] = {"type": "HTTPAPIBudget", "policies": [policy]}
    return source


def ask_all(job: Job) -> int:
    logging.disable(logging.WARNING)  # it logs each 429, and connections it throws away
    logger = logging.getLogger("airbyte")
    stream = AirbyteStream(
        name="ratings", json_schema={"type": "object"}, supported_sync_modes=[SyncMode.full_refresh]
    )
    configured = ConfiguredAirbyteStream(
        stream=stream,
        sync_mode=SyncMode.full_refresh,
        destination_sync_mode=DestinationSyncMode.overwrite,
    )
    catalog = ConfiguredAirbyteCatalog(streams=[configured])
    source = ConcurrentDeclarativeSource(
        catalog=catalog, config={}, state=[], source_config=manifest(job)
    )
    messages = source.read(logger, {}, catalog, [])
    return sum(message.type is Type.RECORD for message in messages)


if __name__ == "__main__":
    measure(ask_all)
