"""The delivery protocol: finished files to their readers, whole or not at all.

The steps are those of docs/design.md#delivery: staged names → read back, decrypt, compare hashes
and counts → `editions/` → readers' names → manifest last. Whatever cuts it, a readers' name holds
the last good file or the new whole one, and the next delivery of the same edition finishes the
work. An edition that was once whole is never changed.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import date, datetime
from uuid import uuid4

from esg_pipeline.delivery.errors import DeliveryError, DeliveryInvalid, MissingFromStore
from esg_pipeline.delivery.layout import (
    AGE_SUFFIX,
    REPORT_SUFFIX,
    edition_prefix,
    file_stem,
    manifest_name,
    replaced_edition_prefix,
    staging_prefix,
)
from esg_pipeline.delivery.manifest import (
    DeliveredFile,
    DeliveryFacts,
    Manifest,
    format_manifest,
    signed_manifest,
)
from esg_pipeline.delivery.signing import Signer, TrustedKeys
from esg_pipeline.delivery.store import Store
from esg_pipeline.delivery.verification import check_counts, verify


def deliver(
    store: Store,
    files: Mapping[str, bytes],
    facts: DeliveryFacts,
    *,
    signer: Signer,
    fence: AbstractContextManager[object],
    now: datetime,
) -> Manifest:
    """Deliver the files of one edition and return its manifest.

    Args:
        files: Plain contents by suffix of the name: ".csv" is the report.
        fence: Proves and keeps the lease while readers' names change (`Lease.fence()`).
        now: For the manifest's `created_at`.

    Raises:
        DeliveryError: the store refused, or gave back something else. Nothing new counts, unless
            only the acknowledgement of the last write was lost; delivering again settles it.
    """
    unit = f"{staging_prefix(facts.day)}{uuid4().hex}-"
    day, ours = facts.day, edition_prefix(facts.day, facts.edition)
    try:
        earlier = _whole_manifest(store, facts, signer.trusted)
        if earlier is not None and _is_of(earlier, files, store):
            manifest = earlier
            for name in _stored_names(manifest):
                store.place.copy(ours + name, f"{unit}readers-{name}")
        else:
            manifest = _stage(store, unit, files, facts, signer=signer, now=now)
        content = format_manifest(manifest)
        store.place.put(f"{unit}readers-{manifest_name(day)}", content)
        with fence:
            if manifest is not earlier:
                _set_aside(store, facts, now)
                for name in [*_stored_names(manifest), manifest_name(day)]:
                    store.place.move(f"{unit}edition-{name}", ours + name)
            _publish(store, unit, manifest, day)
            with suppress(DeliveryError):  # it is delivered; leftovers can wait for the next sweep
                store.sweep(day, now=now)
    finally:
        # Whatever happened, it is told by the error that is on its way, not by this.
        with suppress(DeliveryError):
            for each in store.place.list(unit):
                store.place.delete(each.key)
    return manifest


def _stage(
    store: Store,
    unit: str,
    files: Mapping[str, bytes],
    facts: DeliveryFacts,
    *,
    signer: Signer,
    now: datetime,
) -> Manifest:
    """Write everything twice under staged names, for the edition and for the readers, proven."""
    delivered = []
    for suffix, content in files.items():
        name = file_stem(facts.day) + suffix
        stored = store.write(f"{unit}readers-{name}", content)
        file = DeliveredFile(
            name,
            len(content),
            hashlib.sha256(content).hexdigest(),
            store.stored_name(name),
            stored.size_bytes,
            stored.sha256,
        )
        _prove_staged(store, stored.stored_name, file, facts)
        second = f"{unit}edition-{file.stored_name}"
        store.place.copy(stored.stored_name, second)
        _prove_stored(store, second, file.stored_sha256)
        delivered.append(file)
    manifest = signed_manifest(
        facts, delivered, encryption=store.encryption, signer=signer, created_at=now
    )
    store.place.put(f"{unit}edition-{manifest_name(facts.day)}", format_manifest(manifest))
    return manifest


def _prove_staged(store: Store, staged: str, file: DeliveredFile, facts: DeliveryFacts) -> None:
    """Read a staged file back, decrypt it, compare its hashes and count its rows."""
    try:
        stored = store.place.get(staged)
        if hashlib.sha256(stored).hexdigest() != file.stored_sha256:
            raise DeliveryInvalid("other bytes than were written")
        store.place.check_encryption(staged)
        plain = store.open_stored(file.stored_name, stored)
        if hashlib.sha256(plain).hexdigest() != file.sha256:
            raise DeliveryInvalid("other content than was encrypted")
        check_counts(file.name, plain, rows=facts.rows, counts=facts.counts)
    except DeliveryInvalid as problem:
        raise DeliveryError(
            f"{file.name}: read back from the store before delivery: {problem}; "
            f"nothing was delivered ({store.describe()})"
        ) from None


def _prove_stored(store: Store, stored_name: str, sha256: str) -> None:
    if hashlib.sha256(store.place.get(stored_name)).hexdigest() != sha256:
        raise DeliveryError(
            f"{stored_name}: the store gives back other bytes than were written "
            f"({store.describe()}); check it, then run again"
        )
    store.place.check_encryption(stored_name)


def _publish(store: Store, unit: str, manifest: Manifest, day: date) -> None:
    """Move the staged files to the readers' names, prove them there, and the manifest last."""
    outdated = _outdated_names(store, manifest, day)
    for file in manifest["files"]:
        store.place.move(f"{unit}readers-{file['stored_name']}", file["stored_name"])
    for file in manifest["files"]:
        _prove_stored(store, file["stored_name"], file["stored_sha256"])
    for name in outdated:
        store.place.delete(name)
    store.place.move(f"{unit}readers-{manifest_name(day)}", manifest_name(day))


def _outdated_names(store: Store, manifest: Manifest, day: date) -> set[str]:
    """Readers' names of an earlier edition that this one does not have.

    So that no file of an old edition stays beside the new one when recipients were set or a kind
    of file was dropped.
    """
    current = _stored_names(manifest)
    earlier = {name + AGE_SUFFIX for name in current} | {
        name.removesuffix(AGE_SUFFIX) for name in current
    }
    with suppress(MissingFromStore, ValueError, LookupError, TypeError):
        earlier |= set(_stored_names(json.loads(store.place.get(manifest_name(day)))))
    present = {each.key for each in store.place.list(file_stem(day))}
    return {name for name in earlier - set(current) if name in present and "/" not in name}


def _set_aside(store: Store, facts: DeliveryFacts, now: datetime) -> None:
    """Keep an edition whose number is delivered again with other content.

    It happens when a delivery was cut before the ledger heard of it and the accounts changed
    since, or when the ledger or the keys were lost. What has no manifest never counted.
    """
    day, ours = facts.day, edition_prefix(facts.day, facts.edition)
    stored = [each.key for each in store.place.list(ours)]
    if ours + manifest_name(day) not in stored:
        return
    aside = replaced_edition_prefix(day, facts.edition, now)
    for key in stored:
        store.place.copy(key, aside + key.removeprefix(ours))
    store.place.delete(ours + manifest_name(day))


def _whole_manifest(store: Store, facts: DeliveryFacts, trusted: TrustedKeys) -> Manifest | None:
    """The manifest of this very edition if it already lies whole under `editions/`."""
    try:
        return verify(store, facts.day, trusted=trusted, edition=facts.edition).manifest
    except DeliveryInvalid:
        return None


def _is_of(manifest: Manifest, files: Mapping[str, bytes], store: Store) -> bool:
    """Whether a manifest already states these files, encrypted as the store does now.

    The CSV files decide; a summary made later differs in its times only.
    """
    stated = {file["name"]: file["sha256"] for file in manifest["files"]}
    stem = file_stem(date.fromisoformat(manifest["date"]))
    return (
        stated.keys() == {stem + suffix for suffix in files}
        and manifest["encryption"] == store.encryption
        and all(
            stated[stem + suffix] == hashlib.sha256(content).hexdigest()
            for suffix, content in files.items()
            if suffix.endswith(REPORT_SUFFIX)
        )
    )


def _stored_names(manifest: Manifest) -> list[str]:
    return [str(file["stored_name"]) for file in manifest["files"]]
