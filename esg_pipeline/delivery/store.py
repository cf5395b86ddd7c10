"""The store: named files, encrypted before they leave this process, in a folder or a bucket.

`Store` is what the rest of the pipeline sees: logical names and plain bytes. A `Place` is one kind
of storage; it moves bytes it cannot read, each write whole or not there. Plain bytes never reach a
place that does not encrypt them itself.
"""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from uuid import uuid4

from esg_pipeline.delivery.encryption import AgeCipher
from esg_pipeline.delivery.errors import DeliveryError
from esg_pipeline.delivery.layout import AGE_SUFFIX, PREFLIGHT, STAGING, staging_prefix

LEFTOVER_AGE = timedelta(days=1)
"""After this time nothing in staging can belong to a living run."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as its place lists it. `modified_at` is UTC by the place's clock."""

    key: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What was written: the name it got, its size and its SHA-256 (hex), as stored."""

    stored_name: str
    size_bytes: int
    sha256: str


class Place(Protocol):
    """One kind of storage. Keys are relative, with `/`. Every failure is a `DeliveryError`."""

    encryption: str | None
    """What the place itself encrypts with, as the manifest says it; None if it does not."""

    def put(self, key: str, content: bytes) -> None:
        """Write an object, whole and durable when this returns, replacing one of that name."""

    def get(self, key: str) -> bytes:
        """Read an object; `MissingFromStore` if there is none."""

    def copy(self, source: str, target: str) -> None:
        """Copy inside the place; the target is whole at every moment."""

    def move(self, source: str, target: str) -> None:
        """Rename inside the place; the target is whole at every moment."""

    def delete(self, key: str) -> None:
        """Remove an object; none of that name is fine."""

    def list(self, prefix: str) -> list[StoredObject]:
        """All objects whose key starts so, sorted; those in staging only if asked for."""

    def check_encryption(self, key: str) -> None:
        """Raise `DeliveryInvalid` if the place says this object is not encrypted as it must be."""

    def abort_uploads(self, unit: str, begun_before: datetime) -> None:
        """Give up unfinished uploads whose key starts with `unit`, and all begun before."""

    def describe(self) -> str:
        """Where and what it is, on one line, without secrets."""


class Store:
    """Named files in a place, encrypted by age if `sealing`.

    Raises, in every method: `DeliveryError` with one line for the person who must act.

    Args:
        cipher: Opens whatever was once encrypted by age, also when new files are not.
        sealing: Encrypt what is written by age; needed where the place does not encrypt itself.

    Attributes:
        place: The same files by their stored names, as bytes that nobody here encrypts or opens:
            what the delivery protocol works with.
    """

    def __init__(self, place: Place, cipher: AgeCipher, *, sealing: bool = True) -> None:
        if not sealing and place.encryption is None:
            raise ValueError("a store without encryption is never opened")
        self.place = place
        self._cipher = cipher
        self._sealing = sealing
        methods = ["age"] if sealing else []
        self.encryption = "+".join([*methods, *([place.encryption] if place.encryption else [])])
        """What protects a file here, as the manifest says it: "age", "aws:kms", "age+aws:kms"."""

    def stored_name(self, name: str) -> str:
        """The name a file has in the store: `.age` is added when age encrypts it."""
        return name + AGE_SUFFIX if self._sealing else name

    def write(self, name: str, content: bytes) -> StoredFile:
        """Encrypt and write a file, whole and durable, replacing one of that name."""
        sealed = self._cipher.encrypt(content) if self._sealing else content
        stored_name = self.stored_name(name)
        self.place.put(stored_name, sealed)
        return StoredFile(stored_name, len(sealed), hashlib.sha256(sealed).hexdigest())

    def read(self, name: str) -> bytes:
        """Read a file and decrypt it."""
        return self.open_stored(self.stored_name(name), self.place.get(self.stored_name(name)))

    def open_stored(self, stored_name: str, stored: bytes) -> bytes:
        """Decrypt bytes as the place gave them, if their name says that age encrypted them."""
        if not stored_name.endswith(AGE_SUFFIX):
            return stored
        return self._cipher.decrypt(stored, name=stored_name)

    def delete(self, name: str) -> None:
        """Remove a file; none of that name is fine."""
        self.place.delete(self.stored_name(name))

    def sweep(self, day: date, *, now: datetime) -> None:
        """Remove what crashed deliveries of this day, and any writer a day ago, left behind.

        Only for the holder of the day's lease.
        """
        unit, a_day_ago = staging_prefix(day), now.astimezone(UTC) - LEFTOVER_AGE
        for each in [*self.place.list(STAGING), *self.place.list(PREFLIGHT)]:
            if each.key.startswith(unit) or each.modified_at < a_day_ago:
                self.place.delete(each.key)
        self.place.abort_uploads(unit, a_day_ago)

    def preflight(self) -> None:
        """Prove that a delivery can work: write, move, read back, decrypt, delete.

        Raises:
            DeliveryError: what the store refuses now it would also refuse at the end of the run.
        """
        token = uuid4().hex
        content = os.urandom(64 * 1024)
        staged, placed = STAGING + token, PREFLIGHT + token
        try:
            self.write(staged, content)
            self.place.move(self.stored_name(staged), self.stored_name(placed))
            self.place.check_encryption(self.stored_name(placed))
            if self.read(placed) != content:
                raise DeliveryError(
                    f"{self.place.describe()}: gives back other bytes than were written; "
                    "nothing can be delivered there"
                )
            self.delete(placed)
        except BaseException:
            for name in (staged, placed):
                with suppress(DeliveryError):
                    self.delete(name)
            raise

    def describe(self) -> str:
        """Where the store is and who can open it, on one line, without secrets."""
        if not self._sealing:
            return self.place.describe()
        return f"{self.place.describe()}, age for {self._cipher.readers_count} keys"
