"""Keys are made once, for their owner only, and never replaced."""

import os
import stat
import subprocess
import sys

import pytest

from esg_pipeline.delivery import open_signer, open_store, trusted_keys, verify
from esg_pipeline.settings import Settings, SettingsError
from esg_pipeline_tests.delivery.reports import DAY, REPOSITORY, deliver_day

MAKE_KEYS = """
import sys
from pathlib import Path
from esg_pipeline.delivery import open_signer, open_store
from esg_pipeline.delivery.registry import open_cipher
from esg_pipeline.settings import Settings
settings = Settings(_env_file=None, DAGSTER_HOME=Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(open_cipher(settings).public_key, open_signer(settings.keys_folder).fingerprint)
"""


def test_keys_are_private_and_the_same_ones_are_used_again(settings, home):
    first, again = (open_signer(settings.keys_folder) for _ in range(2))
    open_store(settings)
    assert first.fingerprint == again.fingerprint
    assert stat.S_IMODE((home / "keys").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home / "keys").iterdir()} == {0o600}
    assert {path.name for path in (home / "keys").iterdir()} == {
        "age_identity.txt",
        "manifest_signing_key.pem",
        "manifest_signing_key.pub.pem",
    }


@pytest.mark.servers
def test_two_processes_that_make_keys_at_once_agree(tmp_path):
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", MAKE_KEYS, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )

    both = [start(), start()]
    for process in both:
        process.stdout.readline()
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=30)[0] for process in both}
    assert len(keys) == 1
    assert "age1" in keys.pop()


def test_after_a_rotation_old_manifests_are_still_trusted(settings, store, home):
    old = open_signer(settings.keys_folder)
    deliver_day(store, old)
    keys = home / "keys"
    (keys / "manifest_signing_key.pem").rename(home / "retired.pem")
    (keys / "manifest_signing_key.pub.pem").rename(keys / "manifest_signing_key-2026.pub.pem")
    new = open_signer(keys)
    assert new.fingerprint != old.fingerprint
    deliver_day(store, new, 2)
    trusted = trusted_keys(keys)
    assert verify(store, DAY, trusted=trusted, edition=1).manifest["signing_key"] == old.fingerprint
    assert verify(store, DAY, trusted=trusted).manifest["signing_key"] == new.fingerprint


@pytest.mark.parametrize("content", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY"])
def test_a_damaged_signing_key_is_told_and_never_replaced(settings, home, content):
    (home / "keys").mkdir(parents=True)
    path = home / "keys/manifest_signing_key.pem"
    path.write_text(content)
    with pytest.raises(SettingsError, match="not an unencrypted Ed25519 key"):
        open_signer(settings.keys_folder)
    assert path.read_text() == content


def test_checking_without_any_public_key_says_where_to_get_it(home):
    with pytest.raises(SettingsError, match="copy it from the machine that delivers"):
        trusted_keys(home / "keys")


def test_an_identity_everybody_can_read_is_refused(home, tmp_path):
    key = tmp_path / "key.txt"
    key.write_text("AGE-SECRET-KEY-1...")
    os.chmod(key, 0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        open_store(Settings(_env_file=None, DAGSTER_HOME=home, store_identity=key))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        ("# nothing\n", "holds no line"),
        ("AGE-SECRET-KEY-1ABC\n", "not an age secret key"),
    ],
)
def test_an_identity_that_cannot_be_used_names_the_setting_and_no_secret(
    home, tmp_path, content, told
):
    key = tmp_path / "key.txt"
    if content is not None:
        key.touch(mode=0o600)
        key.write_text(content)
    with pytest.raises(SettingsError, match=told) as refused:
        open_store(Settings(_env_file=None, DAGSTER_HOME=home, store_identity=key))
    assert "ESG_STORE_IDENTITY" in str(refused.value)
    assert "KEY-1ABC" not in str(refused.value)
