"""What the guides tell people to do with files and keys works, word for word, with real tools."""

import json
import os
import shutil
import subprocess
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from esg_pipeline.delivery import (
    DeliveryFacts,
    deliver,
    open_signer,
    open_store,
    seal_locally,
    trusted_keys,
    verify,
)
from esg_pipeline.delivery.encryption import read_identities
from esg_pipeline.settings import Settings
from esg_pipeline_tests.docs.pages import DOCS, ROOT, block_with

DAY = date(2026, 3, 10)
REPORT = "FirmESGRatings_20260310.csv"
MANIFEST = "FirmESGRatings_20260310_manifest.json"
USER, ADMIN, RUNBOOK = (
    DOCS / f"{name}.md" for name in ("user-guide", "administrator-guide", "runbook")
)
CONTENT = b"Account ID,Account Name,Processing Status\r\n00123,Fund,Successful\r\n"
FACTS = DeliveryFacts(
    day=DAY,
    edition=1,
    run_id="run",
    code_version="0",
    rows=1,
    counts={"Successful": 1, "Partial": 0, "Failed": 0},
    accounts_sha256="",
    label="manual",
)
VERIFY = "esg-pipeline report verify --date 2026-03-10\n"
"""The last line of some blocks; here the same check is made without starting the program."""


@dataclass(frozen=True)
class Installation:
    """A Dagster home in which the day is delivered, and a shell on it."""

    home: Path

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def store(self) -> Path:
        return self.home / "store"

    @property
    def settings(self) -> Settings:
        return Settings(_env_file=None, DAGSTER_HOME=self.home)

    def shell(self, script: str, folder: Path) -> str:
        """Run a block of a page as it stands, in a folder; give what it printed."""
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=folder,
            env={**os.environ, "DAGSTER_HOME": str(self.home), "STORE": str(self.store)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def verified(self) -> int:
        """The edition of the day's delivery, if it is whole."""
        trusted = trusted_keys(self.keys)
        return verify(open_store(self.settings), DAY, trusted=trusted).edition


@pytest.fixture
def installation(servers: None, tmp_path: Path) -> Installation:
    installed = Installation(tmp_path / "home")
    deliver(
        open_store(installed.settings),
        {".csv": CONTENT},
        FACTS,
        signer=open_signer(installed.keys),
        fence=nullcontext(),
        now=datetime(2026, 3, 10, 12, tzinfo=UTC),
    )
    return installed


@pytest.mark.needs("age")
def test_a_reader_opens_the_report_with_age_and_finds_the_sha256_of_the_manifest(
    installation, tmp_path
):
    shutil.copy(installation.store / f"{REPORT}.age", tmp_path)
    script = block_with(USER, "age -d -i KEY").replace(
        "KEY", str(installation.keys / "age_identity.txt")
    )
    installation.shell(script, tmp_path)
    printed = installation.shell(block_with(USER, "sha256sum"), tmp_path)
    manifest = json.loads((installation.store / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["files"][0]["name"] == REPORT
    assert printed.split()[0] == manifest["files"][0]["sha256"]


@pytest.mark.needs("openssl")
def test_the_signature_is_checked_without_our_program(installation, tmp_path):
    shutil.copy(installation.store / MANIFEST, tmp_path)
    shutil.copy(installation.keys / "manifest_signing_key.pub.pem", tmp_path)
    script = block_with(DOCS / "security.md", "openssl pkeyutl")
    assert "Signature Verified Successfully" in installation.shell(script, tmp_path)
    changed = json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8")) | {"rows": 13}
    (tmp_path / MANIFEST).write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(AssertionError, match="Verification Failure"):
        installation.shell(script, tmp_path)


@pytest.mark.needs("age-keygen")
def test_after_a_rotation_the_new_identity_is_written_for_and_the_old_one_still_opens(
    installation, tmp_path
):
    keys = installation.keys
    before = read_identities(keys / "age_identity.txt")
    block = block_with(ADMIN, "age-keygen > age_identity.new")
    installation.shell(block.replace(VERIFY, ""), tmp_path)
    after = read_identities(keys / "age_identity.txt")
    assert after[1:] == before
    assert after[0] not in before
    assert (keys / "age_identity.txt").stat().st_mode & 0o777 == 0o600
    assert installation.verified() == 1


def test_after_a_rotation_of_the_signing_key_old_manifests_are_trusted(installation, tmp_path):
    keys = installation.keys
    before = open_signer(keys).fingerprint
    installation.shell(block_with(ADMIN, "mv manifest_signing_key.pub.pem"), tmp_path)
    assert installation.verified() == 1
    signer = open_signer(keys)  # what the next delivery does
    assert signer.fingerprint != before
    assert {before, signer.fingerprint} == set(signer.trusted)
    assert installation.verified() == 1


@pytest.mark.needs("age-keygen", "openssl")
@pytest.mark.parametrize(
    "page", [ADMIN, ROOT / "deploy/kubernetes/README.md"], ids=["guide", "k8s"]
)
def test_keys_made_by_hand_are_used_from_a_folder_that_cannot_be_written(
    installation, tmp_path, page
):
    folder = tmp_path / "made"
    folder.mkdir()
    installation.shell(block_with(page, "openssl genpkey"), folder)
    if page is ADMIN:
        installation.shell("age-keygen -o age_identity.txt", folder)
    public = (folder / "manifest_signing_key.pub.pem").read_bytes()
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    signer = open_signer(folder)
    assert set(signer.trusted) == {signer.fingerprint}
    assert (folder / "manifest_signing_key.pub.pem").read_bytes() == public
    assert read_identities(folder / "age_identity.txt")
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_damaged_report_is_redelivered_from_its_edition(installation, tmp_path):
    (installation.store / f"{REPORT}.age").write_bytes(b"age-encryption.org/v1 not ours")
    block = block_with(RUNBOOK, "cp -p $STORE/editions")
    installation.shell(block.replace(VERIFY, ""), tmp_path)
    assert installation.verified() == 1


@pytest.mark.needs("age")
def test_the_sealed_copy_is_opened_as_the_runbook_says(installation, tmp_path):
    seal_locally(installation.settings, {".csv": CONTENT}, FACTS)
    installation.shell(block_with(RUNBOOK, "/undelivered/20260310/0001/.csv.age"), tmp_path)
    assert (tmp_path / REPORT).read_bytes() == CONTENT
