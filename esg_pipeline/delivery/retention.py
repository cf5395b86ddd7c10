"""What lies in the store, by date, and taking a date out of it.

Whether a date may go (retention, legal hold) is decided by the caller; nothing is deleted here that
was not asked for.
"""

import re
from datetime import date, datetime

from esg_pipeline.delivery.manifest import manifest_name
from esg_pipeline.delivery.store import Store, StoredObject
from esg_pipeline.delivery.verification import EDITIONS
from esg_pipeline.ratings import file_stem

FRAMES = "frames/"
_STEM = file_stem(date.max).removesuffix("99991231")
_DATED = re.compile(rf"(?:{_STEM}|{EDITIONS}|{FRAMES})(\d{{8}})(?!\d)")


def frame_name(asset: str, day: date) -> str:
    """The name of an asset's frame of a day: `frames/YYYYMMDD/ASSET.parquet`."""
    return f"{FRAMES}{day:%Y%m%d}/{asset}.parquet"


def deliveries(store: Store) -> list[date]:
    """Every date of which the store holds anything, oldest first."""
    found = {_day_of(each.key) for each in store.list_stored("")}
    return sorted(day for day in found if day is not None)


def delete_delivery(store: Store, day: date, *, dry_run: bool) -> list[StoredObject]:
    """Delete everything of a date: readers' names, all editions, frames.

    The manifest goes first, so that what is half deleted does not count as delivered.

    Returns:
        What was, or with `dry_run` would be, deleted.
    """
    prefixes = (file_stem(day), f"{EDITIONS}{day:%Y%m%d}/", f"{FRAMES}{day:%Y%m%d}/")
    doomed = [each for prefix in prefixes for each in store.list_stored(prefix)]
    doomed.sort(key=lambda each: not each.key.endswith(manifest_name(day)))
    if not dry_run:
        for each in doomed:
            store.delete_stored(each.key)
    return doomed


def _day_of(key: str) -> date | None:
    match = _DATED.match(key)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y%m%d").date()
    except ValueError:
        return None
