"""What the store refused at the end waits at home, encrypted, and is delivered as it is."""

import stat

from esg_pipeline.delivery import (
    fetch,
    pending_sealed,
    seal_locally,
)
from esg_pipeline.settings import Settings
from esg_pipeline_tests.delivery.reports import CANARY, DAY, facts, report_files
from esg_pipeline_tests.delivery.test_folder_delivery import deliver_files, tree


def test_a_sealed_day_is_delivered_later_byte_for_byte(settings, store, signer, tmp_path):
    seal_locally(settings, report_files(), facts())
    (waiting,) = pending_sealed(settings)
    assert waiting.facts == facts()
    deliver_files(store, signer, waiting.files(), waiting.facts)
    waiting.discard()
    assert pending_sealed(settings) == []
    report, *_ = fetch(store, DAY, tmp_path / "out", trusted=signer.trusted)
    assert report.read_bytes() == report_files()[".csv"]


def test_it_waits_encrypted_and_for_the_owner_only(settings, home):
    told = seal_locally(settings, report_files(), facts())
    assert told.startswith(str(home / "undelivered"))
    files = tree(home / "undelivered")
    assert len(files) == 3
    assert all(CANARY.encode() not in content for content in files.values())
    for path in (home / "undelivered").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_an_s3_store_without_recipients_seals_with_the_pipelines_own_key(home):
    settings = Settings(_env_file=None, DAGSTER_HOME=home, store_url="s3://reports")
    seal_locally(settings, report_files(), facts())
    (waiting,) = pending_sealed(settings)
    assert waiting.files() == report_files()


def test_what_was_sealed_only_in_part_does_not_count(settings, home):
    seal_locally(settings, report_files(), facts())
    (home / "undelivered/20261124/0001/facts.json.age").unlink()
    assert pending_sealed(settings) == []
    seal_locally(settings, report_files(failed=2), facts(failed=2))
    (waiting,) = pending_sealed(settings)
    assert waiting.files() == report_files(failed=2)
