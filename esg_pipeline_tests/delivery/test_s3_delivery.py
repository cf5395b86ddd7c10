"""The same promises on a real S3 server: https, access keys, a bucket policy, SSE-KMS."""

import json
import os
from datetime import timedelta

import pytest

from esg_pipeline.delivery import (
    DeliveryError,
    DeliveryInvalid,
    MissingFromStore,
    delete_delivery,
    deliveries,
    editions,
    fetch,
    verify,
)
from esg_pipeline.delivery.layout import frame_name
from esg_pipeline.delivery.s3 import PART_SIZE_BYTES
from esg_pipeline_tests.delivery.reports import CANARY, DAY, NOW, deliver_day, report_files
from esg_pipeline_tests.servers.seaweedfs import BUCKET

REPORT = "FirmESGRatings_20261124.csv"
DENY_WITHOUT_KMS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{BUCKET}/*",
            "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}},
        }
    ],
}


@pytest.fixture
def deny_without_kms(s3_environment):
    s3_environment.client().put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(DENY_WITHOUT_KMS))
    yield
    s3_environment.client().delete_bucket_policy(Bucket=BUCKET)


def keys_of(server, prefix) -> list[str]:
    listed = server.client().list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/")
    return [each["Key"].removeprefix(f"{prefix}/") for each in listed.get("Contents", [])]


def test_a_day_comes_back_byte_for_byte_also_under_a_strict_bucket_policy(
    open_s3, signer, tmp_path, deny_without_kms
):
    store = open_s3()
    store.preflight()
    deliver_day(store, signer)
    report, errors, _ = fetch(store, DAY, tmp_path, trusted=signer.trusted)
    assert report.read_bytes() == report_files()[".csv"]
    assert errors.read_bytes() == report_files()["_errors.csv"]


def test_every_object_is_encrypted_with_the_configured_key(open_s3, signer, s3_environment, prefix):
    store = open_s3()
    deliver_day(store, signer)
    store.write(frame_name("esg_scores", DAY), b"PAR1")
    keys = keys_of(s3_environment, prefix)
    assert len(keys) == 7
    for key in keys:
        head = s3_environment.client().head_object(Bucket=BUCKET, Key=f"{prefix}/{key}")
        assert head["ServerSideEncryption"] == "aws:kms"
        assert head["SSEKMSKeyId"].endswith(s3_environment.kms_key_id)


def test_no_account_name_lies_in_plain_on_the_servers_disk_or_at_home(
    open_s3, signer, s3_environment, home
):
    deliver_day(open_s3(), signer, successful=2000)
    contents = [
        path.read_bytes()
        for folder in (s3_environment.data, home)
        for path in folder.rglob("*")
        if path.is_file()
    ]
    assert sum(map(len, contents)) > 100_000
    assert all(CANARY.encode() not in content for content in contents)


def test_recipients_put_age_on_top_and_older_editions_stay_readable_without_them(
    open_s3, signer, s3_environment, prefix, home
):
    deliver_day(open_s3(), signer)
    own_key = (home / "keys/age_identity.txt").read_text().split()[3]
    with_age = open_s3(store_recipients=own_key)
    manifest = deliver_day(with_age, signer, 2, failed=2)
    assert manifest["encryption"] == "age+aws:kms"
    names = keys_of(s3_environment, prefix)
    assert f"{REPORT}.age" in names
    assert REPORT not in names
    for store in (with_age, open_s3()):
        assert verify(store, DAY, trusted=signer.trusted).edition == 2
        assert verify(store, DAY, trusted=signer.trusted, edition=1).edition == 1


def test_editions_follow_each_other_and_the_same_one_again_changes_nothing(
    open_s3, signer, s3_environment, prefix
):
    store = open_s3()
    deliver_day(store, signer)
    deliver_day(store, signer, 2, failed=2)
    again = deliver_day(store, signer, 2, failed=2, now=NOW + timedelta(hours=1))
    assert again["created_at"].startswith("2026-11-24T13:30")
    assert editions(store, DAY) == [1, 2]
    assert not [key for key in keys_of(s3_environment, prefix) if key.startswith(".")]


def test_a_changed_object_is_found(open_s3, signer, s3_environment, prefix):
    store = open_s3()
    deliver_day(store, signer)
    s3_environment.client().put_object(
        Bucket=BUCKET, Key=f"{prefix}/{REPORT}", Body=b"Account ID\r\n"
    )
    with pytest.raises(DeliveryInvalid, match="is not what the manifest of edition 1 says"):
        verify(store, DAY, trusted=signer.trusted)


def test_an_object_stored_without_kms_is_found_though_its_bytes_are_right(
    open_s3, signer, s3_environment, prefix
):
    store = open_s3()
    deliver_day(store, signer)
    s3_environment.client().put_object(
        Bucket=BUCKET, Key=f"{prefix}/{REPORT}", Body=report_files()[".csv"]
    )
    with pytest.raises(DeliveryInvalid, match="is stored with encryption None, not aws:kms"):
        verify(store, DAY, trusted=signer.trusted)


def test_a_big_file_goes_up_in_parts_and_leaves_no_upload_open(
    open_s3, s3_environment, prefix, monkeypatch
):
    monkeypatch.setattr("esg_pipeline.delivery.s3.SINGLE_PUT_MAX_BYTES", PART_SIZE_BYTES)
    store = open_s3()
    content = os.urandom(2 * PART_SIZE_BYTES + 17)
    store.write("frames/20261124/esg_scores.parquet", content)
    assert store.read("frames/20261124/esg_scores.parquet") == content
    assert [each.size_bytes for each in store.place.list("frames/")] == [len(content)]
    client = s3_environment.client()
    assert "Uploads" not in client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)


def test_uploads_a_crashed_delivery_left_open_are_given_up_and_others_are_not(
    open_s3, signer, s3_environment, prefix
):
    client = s3_environment.client()
    for key in (".staging/20261124-dead-readers-x", ".staging/20261125-alive-readers-x"):
        client.create_multipart_upload(Bucket=BUCKET, Key=f"{prefix}/{key}")
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"left")
    deliver_day(open_s3(), signer)
    uploads = client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)["Uploads"]
    left = f"{prefix}/.staging/20261125-alive-readers-x"
    assert [each["Key"] for each in uploads] == [left]
    assert [key for key in keys_of(s3_environment, prefix) if key.startswith(".")] == [
        ".staging/20261125-alive-readers-x"
    ]


def test_a_date_is_purged_whole(open_s3, signer):
    store = open_s3()
    for day in (DAY, DAY + timedelta(days=1)):
        deliver_day(store, signer, day=day)
        store.write(frame_name("esg_scores", day), b"PAR1")
    assert len(delete_delivery(store, DAY, dry_run=True)) == 7
    assert deliveries(store) == [DAY, DAY + timedelta(days=1)]
    delete_delivery(store, DAY, dry_run=False)
    assert deliveries(store) == [DAY + timedelta(days=1)]


def test_a_missing_name_is_told_apart_from_a_refusal(open_s3):
    with pytest.raises(MissingFromStore):
        open_s3().read("frames/20261124/none.parquet")
    with pytest.raises(DeliveryError, match="there is no such bucket") as refused:
        open_s3(store_url="s3://no-such-bucket").preflight()
    assert not isinstance(refused.value, MissingFromStore)
