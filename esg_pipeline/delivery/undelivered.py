"""Finished files that the store refused at the very end, kept until it takes them again.

They lie under `undelivered/` in the Dagster home, encrypted by age like everything else, and are
delivered later as they are: no account is asked again.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from esg_pipeline.delivery.folder import FolderPlace
from esg_pipeline.delivery.layout import AGE_SUFFIX, SEALED_FACTS, UNDELIVERED, sealed_prefix
from esg_pipeline.delivery.manifest import DeliveryFacts
from esg_pipeline.delivery.readers import open_cipher
from esg_pipeline.delivery.store import Store
from esg_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class SealedDelivery:
    """One delivery that waits for its store. `files()` decrypts, `discard()` removes it."""

    facts: DeliveryFacts
    _store: Store
    _prefix: str

    def files(self) -> dict[str, bytes]:
        """The plain contents by suffix, as `deliver` takes them."""
        names = (each.key for each in self._store.place.list(self._prefix))
        suffixes = [name.removeprefix(self._prefix).removesuffix(AGE_SUFFIX) for name in names]
        return {
            suffix: self._store.read(self._prefix + suffix)
            for suffix in suffixes
            if suffix != SEALED_FACTS
        }

    def discard(self) -> None:
        """Remove it once it is delivered; the facts first, so that no part counts."""
        _discard(self._store, self._prefix)


def seal_locally(settings: Settings, files: Mapping[str, bytes], facts: DeliveryFacts) -> str:
    """Keep the files of one edition under the Dagster home, encrypted.

    Returns:
        The folder, for the message.

    Raises:
        DeliveryError: not even the local disk takes them.
    """
    store, prefix = _local_store(settings), sealed_prefix(facts.day, facts.edition)
    _discard(store, prefix)
    for suffix, content in files.items():
        store.write(prefix + suffix, content)
    # Last: what has no facts is not whole and does not count.
    store.write(prefix + SEALED_FACTS, _facts_as_json(facts))
    return str(settings.home.absolute() / UNDELIVERED / prefix)


def pending_sealed(settings: Settings) -> list[SealedDelivery]:
    """All whole sealed deliveries, oldest first."""
    store = _local_store(settings)
    return [
        SealedDelivery(
            _facts_from_json(store.read(name.removesuffix(AGE_SUFFIX))),
            store,
            name.removesuffix(SEALED_FACTS + AGE_SUFFIX),
        )
        for name in (each.key for each in store.place.list(""))
        if name.endswith(f"/{SEALED_FACTS}{AGE_SUFFIX}")
    ]


def _local_store(settings: Settings) -> Store:
    root = settings.home.absolute() / UNDELIVERED
    return Store(FolderPlace(root, file_mode=0o600, folder_mode=0o700), open_cipher(settings))


def _discard(store: Store, prefix: str) -> None:
    store.delete(prefix + SEALED_FACTS)
    for each in store.place.list(prefix):
        store.place.delete(each.key)


def _facts_as_json(facts: DeliveryFacts) -> bytes:
    return json.dumps({**asdict(facts), "day": facts.day.isoformat()}).encode("utf-8")


def _facts_from_json(content: bytes) -> DeliveryFacts:
    facts: dict[str, Any] = json.loads(content)
    day, changes = date.fromisoformat(facts["day"]), tuple(facts["changes"])
    return DeliveryFacts(**{**facts, "day": day, "changes": changes})
