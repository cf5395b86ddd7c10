"""How the pages write numbers, dates, times (US English, Central Time, no locale) and outside text.

The machine's language settings must not change a byte of a page. A name, an id, who asked and why
are changed for the eye only: the report and the JSON keep them byte for byte.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

from esg_pipeline.clock import CENTRAL
from esg_pipeline.safe_text import guarded, visible

MINUS = "\u2212"
MISSING = "N/A"
LONGEST_SHOWN = 120
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_HUNDREDTHS_OF_PERCENT = 10_000


def count(number: int) -> str:
    """1234567 as `1,234,567`."""
    return f"{number:,}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 account`, `2 accounts`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def share(part: int, whole: int) -> str:
    """A share as percent, two decimals, half up; only none is 0%, and only all is 100%."""
    if part == 0 or whole == 0:
        return "0%"
    if part == whole:
        return "100%"
    hundredths = (2 * _HUNDREDTHS_OF_PERCENT * part + whole) // (2 * whole)
    if hundredths == 0:
        return "under 0.01%"
    if hundredths == _HUNDREDTHS_OF_PERCENT:
        return "over 99.99%"
    return f"{hundredths // 100}.{hundredths % 100:02}%"


def percent(fraction: float) -> str:
    """A setting such as 0.05 as `5%`, 0.025 as `2.5%`."""
    return f"{(Decimal(str(fraction)) * 100).normalize():f}%"


def score(value: Decimal | float | None) -> str:
    """`72.68`, or `N/A`."""
    return MISSING if value is None else f"{value:.2f}"


def change(value: Decimal | None) -> str:
    """`+0.12`, `−0.12`, `0.00`, or `N/A`."""
    if value is None:
        return MISSING
    sign = "+" if value > 0 else MINUS if value < 0 else ""
    return f"{sign}{abs(value):.2f}"


def long_date(day: date) -> str:
    """`Tuesday, November 24, 2026`."""
    return f"{_DAYS[day.weekday()]}, {short_date(day)}"


def short_date(day: date) -> str:
    """`November 24, 2026`."""
    return f"{_MONTHS[day.month - 1]} {day.day}, {day.year}"


def month_and_day(day: date) -> str:
    """`Nov 24`, for an axis."""
    return f"{_MONTHS[day.month - 1][:3]} {day.day}"


def central(at: datetime, day: date | None = None) -> str:
    """`05:00:02 CST`, with the date before it when it is not `day`."""
    local = at.astimezone(CENTRAL)
    time = f"{local:%H:%M:%S %Z}"
    return time if local.date() == day else f"{short_date(local.date())}, {time}"


def duration(length: timedelta) -> str:
    """`3 h 35 min`, `24 min 8 s`, `8 s`; seconds are left out from an hour on."""
    seconds = int(length.total_seconds())
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def shown(text: str) -> str:
    """Text from outside with what is not seen made visible, and cut."""
    safe = visible(text[:LONGEST_SHOWN])
    return safe if len(text) <= LONGEST_SHOWN else safe + "…"


def shown_name(name: str) -> str:
    """An account name as `shown`, with the report's `'` before what looks like a formula."""
    return shown(name) if guarded(name) == name else "'" + shown(name)
