"""A store that refuses is found by the preflight: one clear line, and never without encryption."""

import os

import pytest

from esg_pipeline.delivery import DeliveryError, editions, open_store, verify
from esg_pipeline.delivery.s3 import PART_SIZE_BYTES, boto3_client
from esg_pipeline.settings import Settings, SettingsError
from esg_pipeline_tests.delivery.reports import DAY, deliver_day
from esg_pipeline_tests.servers.faulty_proxy import Fault, Request, S3Error, run_faulty_proxy
from esg_pipeline_tests.servers.seaweedfs import (
    BUCKET,
    PIPELINE,
    READER,
    SEALED_OFF,
    run_moto,
)


def refusal_of(store) -> str:
    with pytest.raises(DeliveryError) as refused:
        store.preflight()
    told = str(refused.value)
    assert told.startswith("ESG_STORE_URL: s3://")
    assert "\n" not in told
    assert PIPELINE[1] not in told
    return told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "the secret key is wrong; check AWS_SECRET_ACCESS_KEY"),
        ("AWS_ACCESS_KEY_ID", "AKIDNOBODY", "the access key is unknown; check AWS_ACCESS_KEY_ID"),
    ],
)
def test_wrong_credentials(open_s3, monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)
    assert told in refusal_of(open_s3())


@pytest.mark.usefixtures("no_backoff")
def test_a_certificate_of_an_unknown_authority(open_s3, monkeypatch):
    monkeypatch.delenv("AWS_CA_BUNDLE")
    assert "its TLS certificate is not trusted; check the endpoint" in refusal_of(open_s3())


def test_no_credentials_at_all(open_s3, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "no AWS credentials; set AWS_ACCESS_KEY_ID" in refusal_of(open_s3())


def test_an_identity_that_may_only_read(open_s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER[1])
    assert "access is denied; allow s3:ListBucket" in refusal_of(open_s3())


@pytest.mark.usefixtures("no_backoff")
def test_a_key_the_kms_does_not_know(open_s3):
    unknown = "00000000-0000-0000-0000-000000000000"
    assert "check it and its KMS key" in refusal_of(open_s3(store_kms_key_id=unknown))


@pytest.mark.usefixtures("no_backoff")
def test_a_server_that_is_not_there(open_s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://127.0.0.1:1")
    assert "it cannot be reached; check AWS_ENDPOINT_URL_S3" in refusal_of(open_s3())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (S3Error(400, "KMS.DisabledException"), "the KMS key is disabled; enable it"),
        (S3Error(400, "KMS.NotFoundException"), "there is no such KMS key"),
        (S3Error(400, "KMS.KMSInvalidStateException"), "the KMS key cannot be used in its state"),
        (S3Error(403, "RequestTimeTooSkewed"), "this machine's clock is wrong"),
        (S3Error(400, "ExpiredToken"), "the credentials have expired"),
        (S3Error(503, "SlowDown"), "the store is overloaded and stayed so"),
        (S3Error(418, "Teapot"), "the store refused; look the code up (Teapot)"),
    ],
)
@pytest.mark.usefixtures("no_backoff")
def test_what_aws_answers_when_it_cannot(open_s3, proxy, error, told):
    proxy.fault = lambda _: error
    assert told in refusal_of(open_s3())


def test_http_is_refused_before_anything_is_sent(open_s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://storage.example.com")
    with pytest.raises(SettingsError, match="AWS_ENDPOINT_URL_S3: http:// is only allowed"):
        open_s3()


def test_an_alias_is_refused_because_it_cannot_be_compared(open_s3):
    with pytest.raises(SettingsError, match="ESG_STORE_KMS_KEY_ID: give the key's id or ARN"):
        open_s3(store_kms_key_id="alias/esg")


def test_a_url_without_a_bucket_is_a_settings_error(open_s3):
    with pytest.raises(SettingsError, match="names no bucket"):
        open_s3(store_url="s3:///reports")


@pytest.fixture
def moto_store(servers, home, monkeypatch):
    """A store on moto behind a proxy: moto checks no signature, so that requests can be changed."""
    with run_moto() as endpoint, run_faulty_proxy(endpoint) as proxy:
        environment = {
            "AWS_ENDPOINT_URL_S3": proxy.endpoint,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
            "AWS_DEFAULT_REGION": "us-east-1",
            **SEALED_OFF,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

        def open_it(**settings):
            given = {"store_url": f"s3://{BUCKET}", **settings}
            return open_store(Settings(_env_file=None, DAGSTER_HOME=home, **given))

        boto3_client().create_bucket(Bucket=BUCKET)
        proxy.requests.clear()
        yield open_it, proxy


def test_a_bucket_that_ignores_the_encryption_gets_nothing(moto_store):
    open_it, proxy = moto_store
    proxy.drop_headers = {"x-amz-server-side-encryption"}
    store = open_it()
    told = refusal_of(store)
    assert "it was deleted again and nothing is delivered unencrypted" in told
    assert store.place.list(".") == []
    assert store.place.list("") == []


def test_a_bucket_that_takes_another_key_gets_nothing(moto_store):
    open_it, proxy = moto_store
    proxy.drop_headers = {"x-amz-server-side-encryption-aws-kms-key-id"}
    store = open_it(store_kms_key_id="11111111-2222-3333-4444-555555555555")
    assert "instead; it was deleted again" in refusal_of(store)
    assert store.place.list(".") == []


def test_a_copy_that_is_not_encrypted_never_reaches_the_readers(moto_store, signer):
    open_it, proxy = moto_store
    store = open_it()
    deliver_day(store, signer)

    def spoil_copies(request: Request) -> Fault:
        is_copy = "x-amz-copy-source" in request.headers
        proxy.drop_headers = {"x-amz-server-side-encryption"} if is_copy else set()
        return None

    proxy.fault = spoil_copies
    with pytest.raises(DeliveryError, match="it was deleted again and nothing is delivered"):
        deliver_day(store, signer, 2, failed=2)
    proxy.fault = lambda _: None
    assert verify(store, DAY, trusted=signer.trusted).edition == 1
    assert editions(store, DAY) == [1]


def test_readers_files_are_proven_under_their_names_and_the_manifest_is_written_last(
    moto_store, signer
):
    open_it, proxy = moto_store
    store = open_it()
    deliver_day(store, signer)
    proxy.requests.clear()
    deliver_day(store, signer, 2, failed=2)
    calls = [(each.method, each.path.partition("?")[0]) for each in proxy.requests]
    readers = [f"/{BUCKET}/FirmESGRatings_20261124{suffix}" for suffix in (".csv", "_errors.csv")]
    manifest = calls.index(("PUT", f"/{BUCKET}/FirmESGRatings_20261124_manifest.json"))
    for name in readers:
        written = calls.index(("PUT", name))
        assert written < manifest
        assert ("GET", name) in calls[written:manifest]
        assert ("HEAD", name) in calls[written:manifest]
    assert [path for method, path in calls[manifest + 1 :] if method == "PUT"] == []


def test_without_a_key_of_its_own_the_buckets_kms_default_is_used(moto_store, signer):
    open_it, _ = moto_store
    store = open_it()
    store.preflight()
    assert deliver_day(store, signer)["encryption"] == "aws:kms"
    head = boto3_client().head_object(Bucket=BUCKET, Key="FirmESGRatings_20261124.csv")
    assert head["ServerSideEncryption"] == "aws:kms"


def test_every_write_asks_for_kms_and_a_checksum_and_none_for_an_acl(
    moto_store, signer, monkeypatch
):
    monkeypatch.setattr("esg_pipeline.delivery.s3.SINGLE_PUT_MAX_BYTES", PART_SIZE_BYTES)
    open_it, proxy = moto_store
    store = open_it(store_kms_key_id="11111111-2222-3333-4444-555555555555")
    store.preflight()
    deliver_day(store, signer)
    store.write("frames/20261124/esg_scores.parquet", os.urandom(17 * 1024 * 1024))
    sent = proxy.requests
    assert {request.method for request in sent} >= {"PUT", "POST", "HEAD", "GET", "DELETE"}
    assert not [request for request in sent if "x-amz-acl" in request.headers]
    assert not [request for request in sent if "acl" in request.path]
    writes = [each for each in sent if each.method == "PUT" or each.path.endswith("?uploads")]
    parts = [each for each in writes if "partNumber" in each.path]
    assert len(parts) == 2
    assert all("x-amz-checksum-sha256" in each.headers for each in parts)
    for write in writes:
        if write in parts:
            continue
        assert write.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert write.headers["x-amz-server-side-encryption-aws-kms-key-id"].startswith("11111111")
        checked = {"x-amz-checksum-sha256", "x-amz-checksum-algorithm"}
        assert checked & set(write.headers.keys())
    assert DAY.strftime("%Y%m%d") in sent[-5].path
