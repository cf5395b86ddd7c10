"""The servers that the tests of the pages need."""

from esg_pipeline_tests.delivery.s3_fixtures import seaweedfs

__all__ = ["seaweedfs"]
