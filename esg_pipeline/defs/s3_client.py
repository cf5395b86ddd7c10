"""The S3 client of a run: that of dagster-aws' resource. Only made for an `s3://` store."""

from typing import Any


def s3_client() -> Any:
    """Make the client from the environment; see `delivery.open_store`."""
    # Here, because dagster-aws takes two seconds to import and a folder store never needs it.
    from dagster_aws.s3 import S3Resource  # noqa: PLC0415

    from esg_pipeline.delivery.s3 import ATTEMPTS  # noqa: PLC0415

    # botocore counts what follows the first attempt, whatever the resource says of it.
    return S3Resource(max_attempts=ATTEMPTS - 1).get_client()
