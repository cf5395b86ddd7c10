"""What readers of a folder store can rely on."""

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyrage
import pytest

from esg_pipeline.delivery import (
    DeliveryError,
    DeliveryInvalid,
    MissingFromStore,
    deliver,
    editions,
    fetch,
    open_signer,
    open_store,
    seal_locally,
    verify,
)
from esg_pipeline.settings import Settings, SettingsError
from esg_pipeline_tests.delivery.reports import (
    CANARY,
    DAY,
    NOW,
    deliver_day,
    facts,
    report_files,
)

REPORT = "FirmESGRatings_20261124.csv"
MANIFEST = "FirmESGRatings_20261124_manifest.json"


class Refused(Exception):
    """What a ledger says to a run that lost its lease."""


@contextlib.contextmanager
def lost_lease() -> Iterator[None]:
    raise Refused
    yield


def deliver_files(store, signer, files, stated) -> None:
    deliver(store, files, stated, signer=signer, fence=contextlib.nullcontext(), now=NOW)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_delivered_day_comes_back_byte_for_byte(store, signer, tmp_path):
    deliver_day(store, signer)
    fetched = fetch(store, DAY, tmp_path / "out", trusted=signer.trusted)
    assert [path.name for path in fetched] == [REPORT, REPORT[:-4] + "_errors.csv", MANIFEST]
    assert fetched[0].read_bytes() == report_files()[".csv"]
    assert fetched[1].read_bytes() == report_files()["_errors.csv"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in fetched)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700


def test_fetching_again_replaces_the_earlier_files(store, signer, tmp_path):
    deliver_day(store, signer)
    fetch(store, DAY, tmp_path, trusted=signer.trusted)
    deliver_day(store, signer, 2, failed=2)
    fetch(store, DAY, tmp_path, trusted=signer.trusted)
    assert (tmp_path / REPORT).read_bytes() == report_files(failed=2)[".csv"]
    fetch(store, DAY, tmp_path, trusted=signer.trusted, edition=1)
    assert (tmp_path / REPORT).read_bytes() == report_files()[".csv"]


def test_the_manifest_says_what_lies_there(store, signer, folder):
    returned = deliver_day(store, signer)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    assert manifest == returned
    assert manifest["date"] == "2026-11-24"
    assert (manifest["edition"], manifest["previous_edition"]) == (1, None)
    assert manifest["rows"] == 20
    assert manifest["counts"] == {"Successful": 17, "Partial": 2, "Failed": 1}
    assert manifest["encryption"] == "age"
    for file in manifest["files"]:
        assert len((folder / file["stored_name"]).read_bytes()) == file["stored_size_bytes"]


def test_files_are_for_owner_and_group_and_folders_too(store, signer, folder):
    deliver_day(store, signer)
    for path in folder.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.name == ".staging":
            assert mode == 0o700
        else:
            assert mode == (0o750 if path.is_dir() else 0o640), path


def test_a_strict_or_a_lax_umask_changes_nothing(store, signer, folder):
    for edition, umask in ((1, 0o000), (2, 0o077)):
        before = os.umask(umask)
        try:
            deliver_day(store, signer, edition)
        finally:
            os.umask(before)
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}


@pytest.mark.needs("root")  # to be a member of any group
def test_the_group_of_the_settings_owns_what_is_delivered(home, signer):
    settings = Settings(_env_file=None, DAGSTER_HOME=home, store_group="games")
    deliver_day(open_store(settings), signer)
    groups = {path.group() for path in (home / "store").rglob("*") if ".staging" not in path.parts}
    assert groups == {"games"}


def test_an_unknown_group_is_a_settings_error(home):
    settings = Settings(_env_file=None, DAGSTER_HOME=home, store_group="no-such-group")
    with pytest.raises(SettingsError, match="ESG_STORE_GROUP"):
        open_store(settings)


def test_no_account_name_lies_in_plain_at_home_or_among_temporary_files(
    settings, store, signer, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    deliver_day(store, signer)
    deliver_day(store, signer, 2, failed=3)
    seal_locally(settings, report_files(), facts())
    store.write("frames/20261124/active_accounts.parquet", CANARY.encode())
    written = tree(tmp_path)
    assert len(written) > 10
    assert all(CANARY.encode() not in content for content in written.values())


def test_a_rerun_is_the_next_edition_and_the_first_one_stays(store, signer):
    deliver_day(store, signer)
    deliver_day(store, signer, 2, failed=3)
    assert verify(store, DAY, trusted=signer.trusted).edition == 2
    assert editions(store, DAY) == [1, 2]
    first = verify(store, DAY, trusted=signer.trusted, edition=1)
    assert first.manifest["rows"] == 20


def test_delivering_the_same_edition_again_changes_not_one_byte(store, signer, folder):
    deliver_day(store, signer)
    before = tree(folder)
    deliver_day(store, signer, now=NOW + timedelta(minutes=5))
    assert tree(folder) == before


def test_an_edition_delivered_again_with_other_content_is_kept_aside(store, signer, folder):
    deliver_day(store, signer)
    first = tree(folder / "editions/20261124/0001")
    deliver_day(store, signer, failed=4)
    assert verify(store, DAY, trusted=signer.trusted).manifest["counts"]["Failed"] == 4
    assert tree(folder / "editions/20261124/0001-replaced-20261124133000") == first
    assert editions(store, DAY) == [1]


def test_after_the_home_is_lost_the_editions_of_old_are_not_overwritten(
    store, signer, folder, tmp_path, caplog
):
    deliver_day(store, signer)
    first = tree(folder / "editions/20261124/0001")
    new_home = Settings(
        _env_file=None,
        DAGSTER_HOME=tmp_path / "new",
        store_url=folder.as_uri(),
        store_recipients=str(pyrage.x25519.Identity.generate().to_public()),
    )
    new_signer = open_signer(new_home.keys_folder)
    deliver_day(open_store(new_home), new_signer)
    assert verify(open_store(new_home), DAY, trusted=new_signer.trusted).edition == 1
    assert tree(folder / "editions/20261124/0001-replaced-20261124133000") == first
    assert "age_identity.txt is gone and a new key is made" in caplog.text


def test_a_lost_key_that_is_the_only_reader_is_never_replaced(store, signer, folder, tmp_path):
    deliver_day(store, signer)
    new_home = Settings(_env_file=None, DAGSTER_HOME=tmp_path / "new", store_url=folder.as_uri())
    with pytest.raises(SettingsError, match="Restore it from the backup"):
        open_store(new_home)
    assert not (tmp_path / "new/keys/age_identity.txt").exists()


def test_wrong_counts_stop_the_delivery_and_leave_the_last_good_file(store, signer, folder):
    deliver_day(store, signer)
    before = tree(folder)
    with pytest.raises(DeliveryError, match="20 rows"):
        deliver_files(store, signer, report_files(), facts(2, successful=18))
    assert tree(folder) == before


def test_an_account_twice_is_never_delivered(store, signer, folder):
    files = report_files(successful=19, partial=0)
    files[".csv"] = files[".csv"].replace(b"A0000007", b"A0000006")
    with pytest.raises(DeliveryError, match="an account twice"):
        deliver_files(store, signer, files, facts(successful=19, partial=0))
    assert tree(folder) == {}


def test_a_run_that_lost_its_lease_changes_nothing_readers_see(store, signer, folder):
    deliver_day(store, signer)
    before = tree(folder)
    with pytest.raises(Refused):
        deliver_day(store, signer, 2, failed=2, fence=lost_lease())
    assert tree(folder) == before


def test_leftovers_of_crashed_deliveries_are_swept(store, signer, folder):
    staging = folder / ".staging"
    store.preflight()
    (staging / "20261124-dead-readers-x.csv.age").write_bytes(b"left")
    (staging / "20261125-alive-readers-x.csv.age").write_bytes(b"another day's run")
    old = staging / "0123456789abcdef"
    old.write_bytes(b"left long ago")
    os.utime(old, (0, 0))
    deliver_day(store, signer)
    assert [path.name for path in staging.iterdir()] == ["20261125-alive-readers-x.csv.age"]


def test_a_file_that_no_edition_has_any_more_leaves_the_readers_names(store, signer, folder):
    deliver_day(store, signer)
    (folder / REPORT).write_bytes(b"left in plain by an older set-up")
    (folder / "FirmESGRatings_20261124_notes.txt").write_bytes(b"a reader's own")
    deliver_day(store, signer, 2)
    assert not (folder / REPORT).exists()
    assert (folder / "FirmESGRatings_20261124_notes.txt").exists()


def test_preflight_leaves_no_trace(store, folder):
    store.preflight()
    assert tree(folder) == {}


def test_frames_and_other_names_are_read_back_as_written(store):
    store.write("frames/20261124/esg_scores.parquet", b"PAR1...")
    assert store.read("frames/20261124/esg_scores.parquet") == b"PAR1..."
    store.delete("frames/20261124/esg_scores.parquet")
    store.delete("frames/20261124/esg_scores.parquet")
    with pytest.raises(MissingFromStore):
        store.read("frames/20261124/esg_scores.parquet")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "a\0b"])
def test_a_name_cannot_leave_the_store(store, name):
    with pytest.raises(ValueError, match="not a name"):
        store.place.put(name, b"x")


def test_a_store_that_cannot_be_written_is_found_by_the_preflight(home, signer):
    (home / "store").write_bytes(b"a file where the folder should be")
    store = open_store(Settings(_env_file=None, DAGSTER_HOME=home))
    with pytest.raises(DeliveryError, match=r"ESG_STORE_URL: folder .*/store: cannot write"):
        store.preflight()


def test_a_date_never_delivered_says_so(store, signer):
    with pytest.raises(DeliveryInvalid, match="nothing is delivered"):
        verify(store, DAY, trusted=signer.trusted)
