"""The bucket of `deploy/s3/`, set up on a real S3 server, takes what the pipeline sends only."""

import itertools
import json
import os

import pytest
import yaml
from botocore.exceptions import ClientError
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager

from esg_pipeline.delivery import open_store
from esg_pipeline.delivery.s3 import PART_SIZE_BYTES
from esg_pipeline.settings import Settings
from esg_pipeline_tests.docs.pages import ROOT
from esg_pipeline_tests.servers.seaweedfs import SeaweedFS

FOLDER = ROOT / "deploy" / "s3"
INSTANCE = ROOT / "deploy" / "kubernetes" / "dagster.yaml"
CANARY = "output-of-a-run-nobody-may-read-on-the-disk"
BUCKET, PREFIX = "deployed", "esg"
OUTPUT = f"arn:aws:s3:::{BUCKET}/dagster-logs/*"
"""The output of runs."""


def filled_in(name: str, key_id: str) -> dict:
    """A file of the folder, filled in as its README says."""
    return json.loads(fill_in((FOLDER / name).read_text(encoding="utf-8"), key_id))


def fill_in(text: str, key_id: str) -> str:
    for placeholder, value in (("BUCKET", BUCKET), ("PREFIX", PREFIX), ("KMS_KEY_ARN", key_id)):
        text = text.replace(placeholder, value)
    return text


@pytest.fixture(scope="module")
def made_bucket(seaweedfs: SeaweedFS) -> None:
    seaweedfs.client().create_bucket(Bucket=BUCKET)


@pytest.fixture
def bucket(seaweedfs: SeaweedFS, made_bucket: None, monkeypatch):
    """The bucket with default encryption, lifecycle and policy; a client with all rights."""
    for name, value in seaweedfs.environment().items():
        monkeypatch.setenv(name, value)
    client, key_id = seaweedfs.client(), seaweedfs.kms_key_id
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    client.put_bucket_encryption(
        Bucket=BUCKET, ServerSideEncryptionConfiguration=filled_in("encryption.json", key_id)
    )
    client.put_bucket_lifecycle_configuration(
        Bucket=BUCKET, LifecycleConfiguration=filled_in("lifecycle.json", key_id)
    )
    policy = json.dumps(filled_in("bucket-policy.json", key_id))
    client.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    yield client
    client.delete_bucket_policy(Bucket=BUCKET)


def test_the_pipeline_writes_reads_and_deletes_there_also_in_parts(bucket, seaweedfs, tmp_path):
    store = open_store(
        Settings(
            _env_file=None,
            DAGSTER_HOME=tmp_path,
            store_url=f"s3://{BUCKET}/{PREFIX}",
            store_kms_key_id=seaweedfs.kms_key_id,
        )
    )
    store.preflight()
    content = os.urandom(PART_SIZE_BYTES + 1)
    store.write("FirmESGRatings_20260310.csv", content)
    assert store.read("FirmESGRatings_20260310.csv") == content


@pytest.mark.parametrize("kind", ["another encryption", "another key"])
def test_what_asks_for_another_encryption_or_key_is_refused(bucket, seaweedfs, kind):
    asked = {"ServerSideEncryption": "AES256"}
    if kind == "another key":
        other = seaweedfs.kms.create_key()["KeyMetadata"]["KeyId"]
        asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": other}
    with pytest.raises(ClientError) as refused:
        bucket.put_object(Bucket=BUCKET, Key=f"{PREFIX}/try", Body=b"x", **asked)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_what_asks_for_no_encryption_gets_ours(bucket, seaweedfs):
    bucket.put_object(Bucket=BUCKET, Key=f"{PREFIX}/try", Body=b"x")
    stored = bucket.head_object(Bucket=BUCKET, Key=f"{PREFIX}/try")
    assert stored["ServerSideEncryption"] == "aws:kms"
    assert stored["SSEKMSKeyId"].endswith(seaweedfs.kms_key_id)


@pytest.fixture
def captured_by(bucket, seaweedfs, tmp_path):
    """Makes what keeps the output of runs, as production's dagster.yaml says, on a new machine."""
    text = fill_in(INSTANCE.read_text(encoding="utf-8"), seaweedfs.kms_key_id)
    config = yaml.safe_load(text)["compute_logs"]["config"]
    machines = itertools.count(1)

    def make() -> S3ComputeLogManager:
        return S3ComputeLogManager(**config | {"local_dir": str(tmp_path / f"{next(machines)}")})

    return make


@pytest.mark.parametrize("size_bytes", [100, 20_000_000], ids=["small", "in parts"])
def test_the_output_of_runs_is_encrypted_with_our_key_and_read_on_any_machine(
    captured_by, bucket, seaweedfs, size_bytes
):
    bucket.delete_bucket_encryption(Bucket=BUCKET)  # what encrypts is asked for by each upload
    written = captured_by()
    log_key = [f"run-{size_bytes}", "compute_logs", "step"]
    output = CANARY + "x" * size_bytes
    with written.open_log_stream(log_key, ComputeIOType.STDERR) as stream:
        stream.write(output)
    elsewhere = captured_by()
    assert elsewhere.is_capture_complete(log_key)
    data, _ = elsewhere.get_log_data_for_type(log_key, ComputeIOType.STDERR, 0, None)
    assert data == output.encode()
    listed = bucket.list_objects_v2(Bucket=BUCKET, Prefix=f"dagster-logs/storage/{log_key[0]}/")
    assert listed["Contents"]
    for each in listed["Contents"]:
        stored = bucket.head_object(Bucket=BUCKET, Key=each["Key"])
        assert stored["ServerSideEncryption"] == "aws:kms"
        assert stored["SSEKMSKeyId"].endswith(seaweedfs.kms_key_id)
    files = [path for path in seaweedfs.data.rglob("*") if path.is_file()]
    assert not any(CANARY.encode() in path.read_bytes() for path in files)


def test_the_output_of_runs_goes_when_the_log_files_go():
    (rule,) = (
        each
        for each in filled_in("lifecycle.json", "")["Rules"]
        if each["Filter"] == {"Prefix": "dagster-logs/"}
    )
    assert rule["Expiration"]["Days"] == Settings.model_fields["log_retention_days"].default


def test_the_policy_refuses_everything_without_tls_and_allows_nothing_by_itself():
    statements = filled_in("bucket-policy.json", "key")["Statement"]
    assert {statement["Effect"] for statement in statements} == {"Deny"}
    plain = statements[0]
    assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert plain["Action"] == "s3:*"
    assert plain["Resource"] == [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]


def test_nothing_can_be_made_public():
    assert set(filled_in("public-access-block.json", "").values()) == {True}


def test_the_object_lock_is_taken_and_as_long_as_the_default_retention(bucket, seaweedfs):
    lock = filled_in("object-lock.json", "")
    client = seaweedfs.client()
    client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=lock)
    days = lock["Rule"]["DefaultRetention"]["Days"]
    assert days == Settings.model_fields["retention_days"].default


def test_the_identities_reach_no_further_than_the_store_and_the_output_of_runs():
    pipeline, reader = (
        filled_in(f"{name}-access.json", "arn:key")["Statement"] for name in ("pipeline", "reader")
    )
    for statement in [*pipeline, *reader]:
        actions, resources = statement["Action"], statement["Resource"]
        assert "*" not in "".join([actions] if isinstance(actions, str) else actions)
        for resource in [resources] if isinstance(resources, str) else resources:
            assert resource in (f"arn:aws:s3:::{BUCKET}", "arn:key", OUTPUT) or resource.startswith(
                f"arn:aws:s3:::{BUCKET}/{PREFIX}/"
            )
    assert OUTPUT not in str(reader)
    assert {statement["Sid"]: statement["Action"] for statement in reader} == {
        "ListTheReports": "s3:ListBucket",
        "ReadTheReports": "s3:GetObject",
        "OpenThem": "kms:Decrypt",
    }
