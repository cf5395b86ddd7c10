"""The share of Failed accounts, and when it is too much: the 5 % rule
(docs/design.md#failure-share).

The one place that decides it; alerts, checks, exit code, summary and metrics ask here.
"""


def failure_share(failed: int, accounts: int) -> float:
    """Failed accounts of all active ones; 0 when there are none."""
    return failed / accounts if accounts else 0.0


def is_too_much(failed: int, accounts: int, threshold: float) -> bool:
    """Whether strictly more than the threshold share Failed (`ESG_FAILURE_THRESHOLD`, 0.05).

    Divided, not multiplied: 0.29 * 100 is less than 29 in floating point.
    """
    return failure_share(failed, accounts) > threshold
