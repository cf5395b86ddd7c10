"""A run and `doctor` reach S3 by dagster-aws' client, the other commands by boto3's: alike."""

import subprocess
import sys

import pytest
from botocore.exceptions import ClientError
from dagster_aws.s3 import S3Resource

from esg_pipeline.defs.resources import SettingsResource, StoreResource
from esg_pipeline.defs.s3_client import s3_client
from esg_pipeline.delivery.s3 import ATTEMPTS, boto3_client, bounded_client
from esg_pipeline.settings import SettingsError
from esg_pipeline_tests.servers.faulty_proxy import S3Error, run_faulty_proxy
from esg_pipeline_tests.servers.seaweedfs import BUCKET

MAKERS = {"dagster-aws": s3_client, "boto3": boto3_client}
PREFIX = "of-the-client"
both_makers = pytest.mark.parametrize("make_client", MAKERS.values(), ids=MAKERS)


@pytest.fixture
def s3_environment(seaweedfs, monkeypatch):
    for name, value in seaweedfs.environment().items():
        monkeypatch.setenv(name, value)
    return seaweedfs


@pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")  # Dagster's
def test_the_store_of_a_run_is_reached_by_the_resource_of_dagster_aws(
    s3_environment, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "DAGSTER_HOME": str(tmp_path),
        "ESG_STORE_URL": f"s3://{BUCKET}/{PREFIX}",
        "ESG_STORE_KMS_KEY_ID": s3_environment.kms_key_id,
        "ESG_ACCOUNTS_URL": "sqlite:///accounts.db",
        "ESG_API_URL": "https://api.example.com/rate",
        "ESG_API_TOKEN": "token",
    }.items():
        monkeypatch.setenv(name, value)
    made = []
    get_client = S3Resource.get_client

    def noted(resource: S3Resource):
        client = get_client(resource)
        made.append(client)
        return client

    monkeypatch.setattr(S3Resource, "get_client", noted)
    store = StoreResource(settings=SettingsResource()).open()
    store.preflight()
    store.write("frames/20261124/x.parquet", b"content")
    assert store.read("frames/20261124/x.parquet") == b"content"
    listed = made[-1].list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/frames/")
    assert listed["KeyCount"] == 1


@both_makers
def test_the_client_has_our_timeouts_and_attempts_and_the_bucket_in_the_path(
    make_client, s3_environment
):
    client = bounded_client(make_client)
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (10, 30)
    assert config.tcp_keepalive
    assert config.retries == {"mode": "standard", "total_max_attempts": ATTEMPTS}
    assert config.s3["addressing_style"] == "path"
    assert client.meta.endpoint_url == s3_environment.endpoint


@both_makers
def test_at_aws_the_bucket_is_in_the_host_name(make_client, s3_environment, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    client = bounded_client(make_client)
    assert (client.meta.config.s3 or {}).get("addressing_style") != "path"
    assert client.meta.config.read_timeout == 30


@both_makers
def test_a_request_is_made_so_often_and_then_given_up(make_client, s3_environment, monkeypatch):
    monkeypatch.setattr(
        "botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.001
    )
    with run_faulty_proxy(s3_environment.endpoint, s3_environment.ca_file) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        proxy.fault = lambda request: S3Error(503, "SlowDown")
        client = bounded_client(make_client)
        with pytest.raises(ClientError, match="max retries: 5"):
            client.head_object(Bucket=BUCKET, Key=f"{PREFIX}/x")
    assert len(proxy.requests) == ATTEMPTS


@both_makers
def test_no_other_session_of_the_process_gets_the_timeouts(make_client, s3_environment):
    bounded_client(make_client)
    assert boto3_client().meta.config.read_timeout == 60


@both_makers
def test_an_environment_that_makes_no_client_is_a_wrong_setting(
    make_client, s3_environment, monkeypatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "no address")
    with pytest.raises(SettingsError, match="ESG_STORE_URL: s3:// cannot be used"):
        bounded_client(make_client)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    assert boto3_client().meta.config.read_timeout == 60


@pytest.mark.servers  # a process of its own
def test_without_s3_a_run_imports_neither_boto3_nor_dagster_aws():
    """They take three seconds of each process."""
    program = "import sys, esg_pipeline.definitions; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "dagster" in loaded
    assert {"boto3", "dagster_aws"}.isdisjoint(loaded)
