"""Reads how long an API asks its callers to wait: `Retry-After` and the rate-limit headers.

Pure text to seconds. Junk is ignored, never guessed at; how long a wait may be is not decided
here.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"\d{1,18}(\.\d{1,9})?", re.ASCII)
_MEMBER = re.compile(r"""\s*(?:"[^"]*"|[^;,"]*)(?:;[^,]*)?""")
_PARAMETER = re.compile(r"(?:^|[;,\s])\s*(r|t|remaining|reset)\s*=\s*(\d{1,18})\b", re.ASCII)

_EPOCH_FROM = 100_000_000
"""A reset this large is a point in time (1973 in seconds), not a wait of three years."""
_EPOCH_MS_FROM = 100_000_000_000


def asked_pause_s(
    headers: Mapping[str, str], *, now: datetime, is_throttle: bool = True
) -> float | None:
    """Seconds the API asks to wait, or None when it does not say.

    `Retry-After` wins (RFC 9110 §10.2.3), then `RateLimit` in the forms of the IETF drafts, then
    `X-RateLimit-…`. Points in time are taken relative to the response's own `Date`, so that a
    clock that is off on either side does no harm.

    Args:
        headers: Case-insensitive, of one response.
        now: The wall clock, aware; used when the response has no `Date`.
        is_throttle: The response said “slow down”. Otherwise only a quota that is explicitly
            used up (remaining 0) is a reason to wait, and `Retry-After` is not.
    """
    server_now = _http_date(headers.get("Date")) or now
    if is_throttle:
        pause = _retry_after_s(headers.get("Retry-After"), server_now)
        if pause is not None:
            return pause
    for remaining, reset in _quotas(headers):
        if remaining == 0 or (remaining is None and is_throttle):
            return _reset_s(reset, server_now)
    return None


def _retry_after_s(value: str | None, server_now: datetime) -> float | None:
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    moment = _http_date(value)
    return None if moment is None else max(0.0, (moment - server_now).total_seconds())


def _http_date(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _quotas(headers: Mapping[str, str]) -> list[tuple[int | None, float]]:
    """(remaining, reset) of every quota the headers tell of, the longest reset first."""
    combined = headers.get("RateLimit")
    if combined is not None:
        return _combined_quotas(combined)
    for prefix in ("RateLimit-", "X-RateLimit-"):
        reset = headers.get(f"{prefix}Reset", "").strip()
        if _SECONDS.fullmatch(reset):
            remaining = headers.get(f"{prefix}Remaining", "").strip()
            return [(int(remaining) if _is_count(remaining) else None, float(reset))]
    return []


def _combined_quotas(value: str) -> list[tuple[int | None, float]]:
    """`"default";r=0;t=7` (newer drafts, may list several), `limit=9, remaining=0, reset=7`."""
    is_old_form = "reset" in value and ";" not in value
    members = [value] if is_old_form else _MEMBER.findall(value)
    quotas = []
    for member in members:
        found = {name[:3]: int(number) for name, number in _PARAMETER.findall(member)}
        reset = found.get("t", found.get("res"))
        if reset is not None:
            quotas.append((found.get("r", found.get("rem")), float(reset)))
    return sorted(quotas, key=lambda quota: -quota[1])


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18  # noqa: PLR2004 - fits an int64


def _reset_s(reset: float, server_now: datetime) -> float:
    """A reset as seconds from now; it may be seconds already, or Unix time in s or ms."""
    if reset < _EPOCH_FROM:
        return reset
    if reset >= _EPOCH_MS_FROM:
        reset /= 1000
    return max(0.0, reset - server_now.timestamp())
