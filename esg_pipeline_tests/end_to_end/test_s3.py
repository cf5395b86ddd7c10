"""The whole job on a real S3 server: the store, and the output of its runs."""

from importlib import resources

import pytest
import yaml

from esg_pipeline_tests.docs.pages import ROOT
from esg_pipeline_tests.end_to_end.conftest import ACCOUNTS
from esg_pipeline_tests.end_to_end.job import DAY, read_rows
from esg_pipeline_tests.servers.seaweedfs import BUCKET

REPORT = f"FirmESGRatings_{DAY:%Y%m%d}.csv"
OUTPUT = "dagster-logs"

LOGGED = f"{ACCOUNTS} of {ACCOUNTS} accounts to be asked"


@pytest.fixture
def on_s3(job, seaweedfs, tmp_path):
    """The job with its store in the bucket."""
    job.env |= {
        **seaweedfs.environment(),
        "ESG_STORE_URL": f"s3://{BUCKET}/{tmp_path.name}",
        "ESG_STORE_KMS_KEY_ID": seaweedfs.kms_key_id,
    }
    return job


def keep_output_of_runs(job, bucket, key_id) -> None:
    """Give the job production's `compute_logs`, filled in."""
    job.home.mkdir()
    instance = yaml.safe_load(resources.files("esg_pipeline").joinpath("dagster.yaml").read_text())
    deployed = yaml.safe_load((ROOT / "deploy/kubernetes/dagster.yaml").read_text())
    logs = deployed["compute_logs"]
    logs["config"] |= {"bucket": bucket, "local_dir": str(job.home / "storage")}
    logs["config"]["upload_extra_args"]["SSEKMSKeyId"] = key_id
    (job.home / "dagster.yaml").write_text(yaml.safe_dump(instance | {"compute_logs": logs}))


def test_a_day_is_delivered_to_s3_and_its_output_lies_there_encrypted(on_s3, seaweedfs):
    keep_output_of_runs(on_s3, BUCKET, seaweedfs.kms_key_id)
    run = on_s3.run(ESG_LOG_STDOUT="true")
    assert run.returncode == 0, run.stderr
    out = on_s3.work / "fetched"
    fetched = on_s3("report", "fetch", "--date", DAY.isoformat(), "--out", str(out))
    assert fetched.returncode == 0, fetched.stderr
    rows = read_rows((out / REPORT).read_bytes())
    assert len(rows) == ACCOUNTS

    client = seaweedfs.client()
    kept = client.list_objects_v2(Bucket=BUCKET, Prefix="dagster-logs/storage/")["Contents"]
    output = ""
    for each in kept:
        stored = client.get_object(Bucket=BUCKET, Key=each["Key"])
        assert stored["ServerSideEncryption"] == "aws:kms"
        assert stored["SSEKMSKeyId"].endswith(seaweedfs.kms_key_id)
        output += stored["Body"].read().decode()
    assert LOGGED in output
    assert not any(row["Account Name"] in output for row in rows)


def test_output_that_cannot_be_kept_costs_no_report(on_s3, seaweedfs):
    keep_output_of_runs(on_s3, "no-such-bucket", seaweedfs.kms_key_id)
    run = on_s3.run(ESG_LOG_STDOUT="true")
    assert run.returncode == 0, run.stderr
    (left,) = (on_s3.home / "storage").rglob("*.out")
    assert LOGGED in left.read_text(encoding="utf-8")
