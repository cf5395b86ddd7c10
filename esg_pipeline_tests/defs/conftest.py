"""The S3 server that the tests of the client need."""

from esg_pipeline_tests.delivery.s3_fixtures import (
    no_backoff,
    prefix,
    proxy,
    s3_environment,
    seaweedfs,
)

__all__ = ["no_backoff", "prefix", "proxy", "s3_environment", "seaweedfs"]
