"""dlt: a resource of accounts, a transformer that asks for each in dlt's thread pool.

Its own requests client with its retries, as in dlt's examples. Only the extraction is measured:
normalising and loading would come on top. dlt has no rate limiter; over the limit it backs off.
"""

import os

from job import Job, measure, read_job

# Read by dlt when it is used; its default is five threads.
os.environ["EXTRACT__WORKERS"] = str(read_job().workers)
os.environ["EXTRACT__MAX_PARALLEL_ITEMS"] = str(read_job().workers)
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"

import dlt
from dlt.sources.helpers import requests


def ask_all(job: Job) -> int:
    @dlt.resource(selected=False)
    def accounts():
        yield from job.urls()

    @dlt.transformer(data_from=accounts, parallelized=True)
    def ratings(url: str):
        yield requests.get(url).json()

    return sum("overall_esg_score" in answer["esg_analysis"] for answer in ratings)


if __name__ == "__main__":
    measure(ask_all)
