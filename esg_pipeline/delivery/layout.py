"""Every stored name in one place: what lies where on the store.

    FirmESGRatings_YYYYMMDD.csv  _errors.csv  _summary.html  _summary.json     what readers open
    FirmESGRatings_YYYYMMDD_manifest.json     the statement of what was delivered, written last
    FirmESGRatings_trend.html  history/daily.parquet     about all days
    editions/YYYYMMDD/NNNN/     each edition whole, and the account list it was made for
    frames/YYYYMMDD/            the frames between the assets
    .staging/  .preflight-…     what is not finished, and what a check of the store wrote

A file that age encrypts has `.age` after its name. In the Dagster home `undelivered/` has what the
store refused. Only names here; nothing is read or written. These names are a contract with readers.
"""

import re
from datetime import UTC, date, datetime

AGE_SUFFIX = ".age"
"""Added to the name of what age encrypts."""

REPORT_SUFFIX = ".csv"
ERRORS_SUFFIX = "_errors.csv"
SUMMARY_PAGE_SUFFIX = "_summary.html"
SUMMARY_JSON_SUFFIX = "_summary.json"
MANIFEST_SUFFIX = "_manifest.json"

TREND_PAGE = "FirmESGRatings_trend.html"
HISTORY_TABLE = "history/daily.parquet"

EDITIONS = "editions/"
FRAMES = "frames/"
STAGING = ".staging/"
"""What is not finished lies here; no reader looks here, and leftovers are swept."""
PREFLIGHT = ".preflight-"
"""The start of a preflight's name outside staging."""

UNDELIVERED = "undelivered"
"""Folder of the Dagster home: finished files that the store refused."""
SEALED_FACTS = "facts.json"
"""Beside such files, written last: what the delivery is about."""

_REPORT_STEM = "FirmESGRatings_"
_OF_A_DAY = re.compile(rf"(?:{_REPORT_STEM}|{EDITIONS}|{FRAMES})(\d{{8}})(?!\d)")


def file_stem(day: date) -> str:
    """The start of the name of every file of a day that readers open."""
    return f"{_REPORT_STEM}{day:%Y%m%d}"


def report_name(day: date) -> str:
    """The report."""
    return file_stem(day) + REPORT_SUFFIX


def errors_name(day: date) -> str:
    """The error log, beside the report."""
    return file_stem(day) + ERRORS_SUFFIX


def manifest_name(day: date) -> str:
    """The manifest, beside the report."""
    return file_stem(day) + MANIFEST_SUFFIX


def editions_prefix(day: date) -> str:
    """Where all editions of a day lie."""
    return f"{EDITIONS}{day:%Y%m%d}/"


def edition_prefix(day: date, edition: int) -> str:
    """Where an edition lies."""
    return f"{editions_prefix(day)}{edition:04d}/"


def replaced_edition_prefix(day: date, edition: int, at: datetime) -> str:
    """Where an edition is kept whose number was delivered again with other content.

    Args:
        at: When it was replaced, UTC.
    """
    return f"{edition_prefix(day, edition).removesuffix('/')}-replaced-{at:%Y%m%d%H%M%S}/"


def edition_number(stored_name: str, day: date) -> int | None:
    """The number of the edition whose manifest this is; None if it is no edition's manifest."""
    start, end = editions_prefix(day), f"/{manifest_name(day)}"
    if not (stored_name.startswith(start) and stored_name.endswith(end)):
        return None
    number = stored_name.removeprefix(start).removesuffix(end)
    return int(number) if number.isdecimal() else None


def accounts_name(day: date, edition: int) -> str:
    """The account list that an edition was made for."""
    return f"{edition_prefix(day, edition)}accounts.parquet"


def frames_prefix(day: date) -> str:
    """Where the frames of a day lie."""
    return f"{FRAMES}{day:%Y%m%d}/"


def frame_name(asset: str, day: date) -> str:
    """The frame of an asset."""
    return f"{frames_prefix(day)}{asset}.parquet"


def staging_prefix(day: date) -> str:
    """The start of every staged name of a day's deliveries."""
    return f"{STAGING}{day:%Y%m%d}-"


def sealed_prefix(day: date, edition: int) -> str:
    """Where an edition that the store refused lies, below `UNDELIVERED`."""
    return f"{day:%Y%m%d}/{edition:04d}/"


def prefixes_of(day: date) -> tuple[str, ...]:
    """The starts of the names of everything that the store holds of a day."""
    return file_stem(day), editions_prefix(day), frames_prefix(day)


def day_of(stored_name: str) -> date | None:
    """The day that a stored name is about, if it is about one."""
    match = _OF_A_DAY.match(stored_name)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None
