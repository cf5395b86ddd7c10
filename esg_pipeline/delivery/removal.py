"""What lies in the store, by date, and taking a date out of it.

Whether a date may go (retention, legal hold) is decided by the caller; nothing is deleted here that
was not asked for.
"""

from datetime import date

from esg_pipeline.delivery.layout import day_of, manifest_name, prefixes_of
from esg_pipeline.delivery.store import Store, StoredObject


def deliveries(store: Store) -> list[date]:
    """Every date of which the store holds anything, oldest first."""
    found = {day_of(each.key) for each in store.place.list("")}
    return sorted(day for day in found if day is not None)


def delete_delivery(store: Store, day: date, *, dry_run: bool) -> list[StoredObject]:
    """Delete everything of a date: readers' names, all editions, frames.

    The manifest goes first, so that what is half deleted does not count as delivered.

    Returns:
        What was, or with `dry_run` would be, deleted.
    """
    doomed = [each for prefix in prefixes_of(day) for each in store.place.list(prefix)]
    doomed.sort(key=lambda each: not each.key.endswith(manifest_name(day)))
    if not dry_run:
        for each in doomed:
            store.place.delete(each.key)
    return doomed
