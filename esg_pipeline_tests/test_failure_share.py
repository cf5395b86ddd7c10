"""The rule of docs/design.md: people are alerted above the threshold, not at it."""

import pytest

from esg_pipeline.failure_share import failure_share, is_too_much


@pytest.mark.parametrize(
    ("failed", "accounts", "threshold", "expected"),
    [
        (5, 100, 0.05, False),
        (6, 100, 0.05, True),
        (5001, 100_000, 0.05, True),
        (29, 100, 0.29, False),  # 0.29 * 100 is 28.999999999999996
        (1, 1, 1.0, False),
        (0, 0, 0.0, False),
        (0, 10, 0.0, False),
        (1, 10, 0.0, True),
    ],
)
def test_strictly_more_than_the_threshold_is_too_much(failed, accounts, threshold, expected):
    assert is_too_much(failed, accounts, threshold) is expected


def test_the_share_is_of_all_active_accounts_and_of_none_it_is_nothing():
    assert failure_share(1, 4) == 0.25
    assert failure_share(0, 0) == 0
