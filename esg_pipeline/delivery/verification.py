"""Is a delivery whole? Hash, signature, counts and encryption, read from the store itself.

Nothing is believed that the store did not just give back, and nothing is changed here.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from esg_pipeline.delivery.counts import count_report, count_rows
from esg_pipeline.delivery.durable_files import replace_private
from esg_pipeline.delivery.errors import DeliveryError, DeliveryInvalid, MissingFromStore
from esg_pipeline.delivery.layout import (
    EDITIONS,
    ERRORS_SUFFIX,
    REPORT_SUFFIX,
    edition_number,
    edition_prefix,
    editions_prefix,
    manifest_name,
)
from esg_pipeline.delivery.manifest import Manifest, format_manifest, read_manifest
from esg_pipeline.delivery.signing import TrustedKeys
from esg_pipeline.delivery.store import Store
from esg_pipeline.ratings import ProcessingStatus


@dataclass(frozen=True, slots=True)
class VerifiedDelivery:
    """A delivery that was read back and found whole.

    Attributes:
        manifest: As signed.
        unpublished: Later editions that lie under `editions/` with a manifest, but not under the
            readers' names: a delivery that was cut in its last moments. The next run finishes it.
    """

    day: date
    edition: int
    manifest: Manifest
    unpublished: tuple[int, ...]


def editions(store: Store, day: date) -> list[int]:
    """The numbers of the editions that have a manifest, in order; they are not checked here."""
    stored = (each.key for each in store.place.list(editions_prefix(day)))
    return sorted(number for name in stored if (number := edition_number(name, day)) is not None)


def verify(
    store: Store, day: date, *, trusted: TrustedKeys, edition: int | None = None
) -> VerifiedDelivery:
    """Check what lies under the readers' names, or an edition under `editions/`.

    Raises:
        DeliveryInvalid: not whole; says what is wrong, and which editions of the day are whole.
        DeliveryError: the store cannot be read.
    """
    manifest, contents = open_delivery(store, day, trusted=trusted, edition=edition)
    for _ in contents:
        pass
    number = manifest["edition"]
    later = tuple(each for each in editions(store, day) if each > number)
    return VerifiedDelivery(day, number, manifest, () if edition is not None else later)


def fetch(
    store: Store, day: date, out: Path, *, trusted: TrustedKeys, edition: int | None = None
) -> list[Path]:
    """Write the plain files and the manifest to a folder, all of them verified before the first.

    Files are mode 0600, the folder is made 0700 if absent; a file of the same name is replaced in
    one step.

    Raises:
        DeliveryInvalid: as `verify`. DeliveryError: the store cannot be read, `out` not written.
    """
    manifest, contents = open_delivery(store, day, trusted=trusted, edition=edition)
    plain = {**dict(contents), manifest_name(day): format_manifest(manifest)}
    try:
        for name, content in plain.items():
            replace_private(out / name, content)
    except OSError as error:
        raise DeliveryError(
            f"{out}: cannot write the fetched files: {error.strerror}; choose another folder"
        ) from error
    return [out / name for name in plain]


def open_delivery(
    store: Store, day: date, *, trusted: TrustedKeys, edition: int | None
) -> tuple[Manifest, Iterator[tuple[str, bytes]]]:
    """Read and check a delivery's manifest, and its files one by one as they are asked for.

    Returns:
        The manifest, and the checked plain content of each file by name.

    Raises:
        DeliveryInvalid: at once or while iterating.
    """
    prefix = "" if edition is None else edition_prefix(day, edition)
    try:
        manifest = read_manifest(
            _stored_manifest(store, prefix, day), day=day, edition=edition, trusted=trusted
        )
    except DeliveryInvalid as problem:
        raise _with_whole_editions(problem, store, day, trusted, edition) from None

    def contents() -> Iterator[tuple[str, bytes]]:
        try:
            for file in manifest["files"]:
                yield file["name"], _checked_content(store, prefix, file, manifest)
        except DeliveryInvalid as problem:
            raise _with_whole_editions(problem, store, day, trusted, edition) from None

    return manifest, contents()


def is_whole(store: Store, day: date, edition: int, *, trusted: TrustedKeys) -> bool:
    """Whether an edition under `editions/` is whole."""
    try:
        verify(store, day, trusted=trusted, edition=edition)
    except DeliveryInvalid:
        return False
    return True


def check_counts(name: str, content: bytes, *, rows: int, counts: Mapping[str, int]) -> None:
    """Check a plain file against the counts: accounts = rows = Successful + Partial + Failed.

    Raises:
        DeliveryInvalid: it holds other numbers than these.
    """
    if name.endswith(ERRORS_SUFFIX):
        found, expected = count_rows(content), rows - counts.get(ProcessingStatus.SUCCESSFUL, 0)
        if found != expected:
            raise DeliveryInvalid(
                f"{name} has {found} rows; {expected} accounts are not Successful"
            )
    elif name.endswith(REPORT_SUFFIX):
        report = count_report(content)
        stated = {status.value: counts.get(status, 0) for status in ProcessingStatus}
        if report.rows != rows or report.by_status != stated or sum(counts.values()) != rows:
            raise DeliveryInvalid(
                f"{name} has {report.rows} rows ({_words(report.by_status)}); "
                f"expected {rows} ({_words(counts)})"
            )


def _stored_manifest(store: Store, prefix: str, day: date) -> bytes:
    try:
        return store.place.get(prefix + manifest_name(day))
    except MissingFromStore:
        where = f"edition folder {prefix}" if prefix else "the readers' names"
        raise DeliveryInvalid(f"{day}: nothing is delivered under {where} (no manifest)") from None


def _checked_content(
    store: Store, prefix: str, file: Mapping[str, object], manifest: Manifest
) -> bytes:
    name, stored_name = str(file["name"]), prefix + str(file["stored_name"])
    try:
        stored = store.place.get(stored_name)
    except MissingFromStore:
        raise DeliveryInvalid(f"{stored_name} is missing") from None
    if _facts_of(stored) != (file["stored_size_bytes"], file["stored_sha256"]):
        raise DeliveryInvalid(
            f"{stored_name} is not what the manifest of edition {manifest['edition']} says"
        )
    store.place.check_encryption(stored_name)
    plain = store.open_stored(stored_name, stored)
    if _facts_of(plain) != (file["size_bytes"], file["sha256"]):
        raise DeliveryInvalid(f"{stored_name} holds another {name} than the manifest says")
    check_counts(name, plain, rows=manifest["rows"], counts=manifest["counts"])
    return plain


def _facts_of(content: bytes) -> tuple[int, str]:
    return len(content), hashlib.sha256(content).hexdigest()


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{status} {counts.get(status, 0)}" for status in ProcessingStatus)


def _with_whole_editions(
    problem: DeliveryInvalid, store: Store, day: date, trusted: TrustedKeys, asked: int | None
) -> DeliveryInvalid:
    """Add to a problem of the readers' names which editions can be relied on instead."""
    if asked is not None:
        return problem
    whole = [each for each in editions(store, day) if is_whole(store, day, each, trusted=trusted)]
    if not whole:
        return DeliveryInvalid(
            f"{problem}; no edition of {day} can be read whole either. With the right keys, and if "
            "that stays so, run the date again"
        )
    return DeliveryInvalid(
        f"{problem}; whole under {EDITIONS}: edition {', '.join(map(str, whole))}; "
        f"docs/runbook.md, Redeliver, says how to put it under the readers' names again"
    )
