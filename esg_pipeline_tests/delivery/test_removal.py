"""A purge takes one date out of the store, whole, and nothing else."""

from datetime import timedelta

import pytest

from esg_pipeline.delivery import DeliveryInvalid, delete_delivery, deliveries, verify
from esg_pipeline.delivery.layout import frame_name
from esg_pipeline_tests.delivery.reports import DAY, deliver_day
from esg_pipeline_tests.delivery.test_folder_delivery import tree

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def two_days(store, signer):
    for day in (DAY, NEXT):
        deliver_day(store, signer, day=day)
        deliver_day(store, signer, 2, day=day, failed=3)
        store.write(frame_name("esg_scores", day), b"PAR1")
    return store


def test_a_dry_run_lists_everything_and_deletes_nothing(two_days, folder):
    before = tree(folder)
    listed = delete_delivery(two_days, DAY, dry_run=True)
    assert tree(folder) == before
    assert len(listed) == 3 + 2 * 3 + 1
    assert all("20261124" in each.key for each in listed)


def test_a_date_goes_with_all_its_editions_and_frames_and_the_next_one_stays(
    two_days, signer, folder
):
    delete_delivery(two_days, DAY, dry_run=False)
    assert deliveries(two_days) == [NEXT]
    assert not any("20261124" in name for name in tree(folder))
    assert not (folder / "editions/20261124").exists()
    assert verify(two_days, NEXT, trusted=signer.trusted).edition == 2
    with pytest.raises(DeliveryInvalid):
        verify(two_days, DAY, trusted=signer.trusted)


def test_dates_are_found_by_any_trace_and_other_names_are_ignored(store, folder):
    store.write(frame_name("active_accounts", NEXT), b"PAR1")
    store.write("editions/20261124/0001/x.csv", b"x")
    store.write("FirmESGRatings_20261399.csv", b"no such date")
    store.write("frames/other/20261123.parquet", b"PAR1")
    assert deliveries(store) == [DAY, NEXT]
