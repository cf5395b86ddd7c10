"""The manifest: the signed statement of what was delivered (docs/design.md#manifest).

Plain JSON, so that anybody can read and check it: it holds hashes, counts and account ids, never an
account name or a score. The signature is Ed25519 over the canonical JSON (keys sorted, no spaces,
UTF-8) of everything but itself.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from esg_pipeline.delivery.errors import DeliveryInvalid
from esg_pipeline.delivery.layout import manifest_name
from esg_pipeline.delivery.signing import Signer, TrustedKeys, is_signed

FORMAT = 1

Manifest = dict[str, Any]
"""A manifest as JSON gives it. One that `read_manifest` returned has every field and its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFacts:
    """What a delivery is about, as the ledger knows it.

    Attributes:
        counts: Accounts per Processing Status.
        rows: Rows of the report, one per active account.
        accounts_sha256: Hash of the account snapshot.
        asked_by: Who asked for this edition, None when the schedule did; `reason`: why.
        label: "scheduled", "late" or "manual".
        changes: Cells that differ from the previous edition, as JSON objects; account ids and
            column names only, because the manifest is not encrypted.
    """

    day: date
    edition: int
    run_id: str
    code_version: str
    rows: int
    counts: Mapping[str, int]
    accounts_sha256: str
    label: str
    asked_by: str | None = None
    reason: str | None = None
    changes: Sequence[Mapping[str, Any]] = ()
    previous_edition: int | None = None


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """One file in two forms: the plain one readers get, and the one that lies in the store."""

    name: str
    size_bytes: int
    sha256: str
    stored_name: str
    stored_size_bytes: int
    stored_sha256: str

    def as_json(self) -> dict[str, str | int]:
        return {
            "name": self.name,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "stored_name": self.stored_name,
            "stored_size_bytes": self.stored_size_bytes,
            "stored_sha256": self.stored_sha256,
        }


def signed_manifest(
    facts: DeliveryFacts,
    files: Sequence[DeliveredFile],
    *,
    encryption: str,
    signer: Signer,
    created_at: datetime,
) -> Manifest:
    """Make the manifest of a delivery and sign it."""
    manifest: Manifest = {
        "format": FORMAT,
        "date": facts.day.isoformat(),
        "edition": facts.edition,
        "previous_edition": facts.previous_edition,
        "run_id": facts.run_id,
        "code_version": facts.code_version,
        "label": facts.label,
        "asked_by": facts.asked_by,
        "reason": facts.reason,
        "rows": facts.rows,
        "counts": dict(facts.counts),
        "accounts_sha256": facts.accounts_sha256,
        "changes": [dict(change) for change in facts.changes],
        "encryption": encryption,
        "files": [file.as_json() for file in files],
        "created_at": created_at.astimezone(UTC).isoformat(timespec="seconds"),
        "signing_key": signer.fingerprint,
    }
    return {**manifest, "signature": signer.sign(canonical(manifest))}


def canonical(manifest: Mapping[str, Any]) -> bytes:
    """The bytes that are signed: the manifest without its signature, canonical JSON."""
    unsigned = {key: value for key, value in manifest.items() if key != "signature"}
    return json.dumps(
        unsigned, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8")


def format_manifest(manifest: Mapping[str, Any]) -> bytes:
    """The bytes that are stored: the same JSON, indented for people."""
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def read_manifest(
    content: bytes, *, day: date, edition: int | None, trusted: TrustedKeys
) -> Manifest:
    """Read a manifest, check its signature and that it speaks of this date (and edition).

    Raises:
        DeliveryInvalid: damaged, unsigned, signed by an unknown key, or of another date.
    """
    name = manifest_name(day)
    try:
        manifest = json.loads(content)
        signature, key_name = manifest["signature"], manifest["signing_key"]
        signed = canonical(manifest)
    except (ValueError, TypeError, KeyError):
        raise DeliveryInvalid(f"{name} is damaged: not a manifest") from None
    key = trusted.get(str(key_name))
    if key is None:
        raise DeliveryInvalid(
            f"{name} is signed by {key_name}, which is not among the trusted keys "
            f"({', '.join(trusted)}); if it is an older key of yours, put its public key into the "
            "keys folder"
        )
    if not is_signed(signed, str(signature), key):
        raise DeliveryInvalid(f"{name}: the signature is wrong; it was changed after delivery")
    # From here on the content is ours: only what can be true and wrong at once is still checked.
    if manifest["format"] != FORMAT:
        raise DeliveryInvalid(
            f"{name} has format {manifest['format']}; this program knows {FORMAT}"
        )
    if manifest["date"] != day.isoformat():
        raise DeliveryInvalid(f"{name} is the manifest of {manifest['date']}, copied here")
    if edition is not None and manifest["edition"] != edition:
        raise DeliveryInvalid(f"{name} is of edition {manifest['edition']}, not {edition}")
    return dict(manifest)
