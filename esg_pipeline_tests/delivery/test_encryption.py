"""The standard `age` tool opens what we write, and we open what it writes."""

import subprocess
from pathlib import Path

import pytest

from esg_pipeline.delivery import DeliveryInvalid, open_store
from esg_pipeline.settings import Settings, SettingsError
from esg_pipeline_tests.delivery.reports import deliver_day, report_files


def age_keygen(path: Path) -> str:
    """Make a key file with the age tool and return its public key."""
    subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    return subprocess.run(
        ["age-keygen", "-y", path], check=True, capture_output=True, text=True
    ).stdout.strip()


def age_decrypt(key: Path, file: Path) -> bytes:
    return subprocess.run(
        ["age", "--decrypt", "-i", key, file], check=True, capture_output=True
    ).stdout


@pytest.mark.servers
@pytest.mark.needs("age", "age-keygen")
def test_every_reader_and_the_pipeline_itself_open_the_file_with_age(home, signer, tmp_path):
    readers = [tmp_path / "anna.txt", tmp_path / "ben.txt"]
    keys = " ".join(age_keygen(path) for path in readers)
    store = open_store(Settings(_env_file=None, DAGSTER_HOME=home, store_recipients=keys))
    deliver_day(store, signer)
    file = home / "store/FirmESGRatings_20261124.csv.age"
    for key in [*readers, home / "keys/age_identity.txt"]:
        assert age_decrypt(key, file) == report_files()[".csv"]


@pytest.mark.servers
@pytest.mark.needs("age", "age-keygen")
def test_someone_who_is_not_a_reader_opens_nothing(store, signer, folder, tmp_path):
    deliver_day(store, signer)
    age_keygen(tmp_path / "eve.txt")
    with pytest.raises(subprocess.CalledProcessError):
        age_decrypt(tmp_path / "eve.txt", folder / "FirmESGRatings_20261124.csv.age")


@pytest.mark.servers
@pytest.mark.needs("age", "age-keygen")
def test_we_open_what_the_age_tool_wrote_for_the_identity_of_the_settings(home, tmp_path):
    key = tmp_path / "pipeline.txt"
    public = age_keygen(key)
    store = open_store(Settings(_env_file=None, DAGSTER_HOME=home, store_identity=key))
    sealed = subprocess.run(
        ["age", "-r", public], input=b"Account ID\r\n", check=True, capture_output=True
    ).stdout
    store.place.put("x.csv.age", sealed)
    assert store.read("x.csv") == b"Account ID\r\n"
    assert not (home / "keys/age_identity.txt").exists()


def test_an_older_identity_in_the_file_still_opens_older_files(home, tmp_path):
    old = open_store(Settings(_env_file=None, DAGSTER_HOME=home))
    old.write("x.csv", b"old")
    old_key = (home / "keys/age_identity.txt").read_text()
    other = open_store(Settings(_env_file=None, DAGSTER_HOME=tmp_path / "other"))
    other.write("y.csv", b"other")
    new_key = (tmp_path / "other/keys/age_identity.txt").read_text()
    both = tmp_path / "both.txt"
    both.touch(mode=0o600)
    both.write_text(new_key + old_key)
    store = open_store(Settings(_env_file=None, DAGSTER_HOME=home, store_identity=both))
    assert store.read("x.csv") == b"old"
    store.write("z.csv", b"new")
    with pytest.raises(DeliveryInvalid, match="other keys"):
        old.read("z.csv")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda sealed: sealed[:-20], "damaged"),
        (lambda sealed: sealed[:-9] + b"x" + sealed[-8:], "damaged"),
        (lambda _: b"Account ID,Account Name\r\n", "not encrypted"),
        (lambda _: b"", "not encrypted"),
    ],
)
def test_what_is_damaged_or_plain_is_refused(store, folder, damage, told):
    store.write("x.csv", b"content")
    path = folder / "x.csv.age"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DeliveryInvalid, match=told):
        store.read("x.csv")


@pytest.mark.parametrize(
    "key", ["age1abc", "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0s"]
)
def test_a_recipient_that_is_no_age_key_is_a_settings_error(home, key):
    with pytest.raises(SettingsError, match="ESG_STORE_RECIPIENTS: age1"):
        open_store(Settings(_env_file=None, DAGSTER_HOME=home, store_recipients=key))
