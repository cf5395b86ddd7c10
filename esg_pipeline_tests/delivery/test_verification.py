"""A delivery that was touched is never taken for whole, and the reader is told what is."""

import json
import shutil
from datetime import date, timedelta

import pytest

from esg_pipeline.delivery import DeliveryInvalid, fetch, open_signer, open_store, verify
from esg_pipeline.delivery.manifest import canonical
from esg_pipeline.settings import Settings
from esg_pipeline_tests.delivery.reports import DAY, deliver_day, facts

REPORT = "FirmESGRatings_20261124.csv.age"
MANIFEST = "FirmESGRatings_20261124_manifest.json"


@pytest.fixture
def delivered(store, signer):
    deliver_day(store, signer)
    return store


def problem_of(store, signer, **asked) -> str:
    with pytest.raises(DeliveryInvalid) as invalid:
        verify(store, asked.pop("day", DAY), trusted=signer.trusted, **asked)
    return str(invalid.value)


def edit_manifest(folder, signer=None, **changes):
    """Change fields of the readers' manifest; sign it again when a signer is given."""
    path = folder / MANIFEST
    manifest = {**json.loads(path.read_bytes()), **changes}
    if signer is not None:
        manifest["signature"] = signer.sign(canonical(manifest))
    path.write_text(json.dumps(manifest))


def test_a_changed_byte_in_the_report_is_found_and_the_whole_edition_is_named(
    delivered, signer, folder
):
    path = folder / REPORT
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    problem = problem_of(delivered, signer)
    assert "is not what the manifest of edition 1 says" in problem
    assert "whole under editions/: edition 1" in problem
    deliver_day(delivered, signer)
    assert verify(delivered, DAY, trusted=signer.trusted).edition == 1


def test_a_missing_report_is_found(delivered, signer, folder):
    (folder / REPORT).unlink()
    assert "FirmESGRatings_20261124.csv.age is missing" in problem_of(delivered, signer)


@pytest.mark.parametrize(
    "changes", [{"rows": 21}, {"reason": "because"}, {"edition": 2}, {"signature": "AAAA"}]
)
def test_a_changed_manifest_is_found_by_its_signature(delivered, signer, folder, changes):
    edit_manifest(folder, **changes)
    assert "the signature is wrong" in problem_of(delivered, signer)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"null", b'{"signature": 1}'])
def test_a_damaged_manifest_is_told(delivered, signer, folder, content):
    (folder / MANIFEST).write_bytes(content)
    assert "is damaged: not a manifest" in problem_of(delivered, signer)


def test_a_manifest_signed_by_somebody_else_is_not_trusted(delivered, signer, folder, tmp_path):
    stranger = open_signer(tmp_path / "stranger")
    edit_manifest(folder, stranger, signing_key=stranger.fingerprint)
    assert "not among the trusted keys" in problem_of(delivered, signer)


def test_yesterdays_delivery_copied_to_todays_names_is_refused(delivered, signer, folder):
    tomorrow = DAY + timedelta(days=1)
    for path in folder.glob("FirmESGRatings_20261124*"):
        shutil.copy(path, folder / path.name.replace("20261124", "20261125"))
    assert "is the manifest of 2026-11-24, copied here" in problem_of(
        delivered, signer, day=tomorrow
    )


def test_an_edition_copied_over_another_is_refused(delivered, signer, folder):
    deliver_day(delivered, signer, 2)
    shutil.rmtree(folder / "editions/20261124/0002")
    shutil.copytree(folder / "editions/20261124/0001", folder / "editions/20261124/0002")
    assert "is of edition 1, not 2" in problem_of(delivered, signer, edition=2)


def test_counts_that_are_not_those_of_the_file_are_found(delivered, signer, folder):
    edit_manifest(folder, signer, rows=21, counts={"Successful": 18, "Partial": 2, "Failed": 1})
    assert "has 20 rows" in problem_of(delivered, signer)


def test_a_report_stored_in_plain_is_found_though_the_hashes_agree(delivered, signer, folder):
    manifest = json.loads((folder / MANIFEST).read_bytes())
    plain = delivered.read("FirmESGRatings_20261124.csv")
    file = manifest["files"][0]
    file["stored_sha256"], file["stored_size_bytes"] = file["sha256"], file["size_bytes"]
    edit_manifest(folder, signer, files=manifest["files"])
    (folder / REPORT).write_bytes(plain)
    assert "is not encrypted by age" in problem_of(delivered, signer)


def test_a_readers_own_identity_is_enough_to_verify_and_fetch(home, signer, tmp_path):
    reader = Settings(_env_file=None, DAGSTER_HOME=tmp_path / "reader")
    open_store(reader)
    public_key = (tmp_path / "reader/keys/age_identity.txt").read_text().split()[3]
    deliver_day(
        open_store(Settings(_env_file=None, DAGSTER_HOME=home, store_recipients=public_key)),
        signer,
    )
    theirs = open_store(
        Settings(
            _env_file=None,
            DAGSTER_HOME=tmp_path / "reader",
            store_url=(home / "store").as_uri(),
        )
    )
    assert len(fetch(theirs, DAY, tmp_path / "out", trusted=signer.trusted)) == 3


def test_nothing_is_written_by_a_fetch_that_does_not_verify(delivered, signer, folder, tmp_path):
    errors = folder / "FirmESGRatings_20261124_errors.csv.age"
    errors.write_bytes(errors.read_bytes()[:-1])
    with pytest.raises(DeliveryInvalid):
        fetch(delivered, DAY, tmp_path / "out", trusted=signer.trusted)
    assert not (tmp_path / "out").exists()


def test_a_delivery_cut_before_the_readers_names_is_reported_as_unpublished(
    delivered, signer, folder
):
    before = {path: path.read_bytes() for path in folder.glob("FirmESG*")}
    deliver_day(delivered, signer, 2, failed=2)
    for path, content in before.items():
        path.write_bytes(content)
    found = verify(delivered, DAY, trusted=signer.trusted)
    assert (found.edition, found.unpublished) == (1, (2,))


def test_the_manifest_holds_no_field_that_the_signature_does_not_cover(delivered, signer, folder):
    manifest = json.loads((folder / MANIFEST).read_bytes())
    assert set(manifest) - set(json.loads(canonical(manifest))) == {"signature"}
    assert manifest["run_id"] == facts().run_id
    assert date.fromisoformat(manifest["date"]) == DAY
