"""What a database driver's error means: the ledger is away, busy, full, wrong, or we are.

Only judged here, by the driver's own codes where it has one; nothing is caught.
"""

import sqlite3
from dataclasses import dataclass

import psycopg
from sqlalchemy.exc import DBAPIError

from esg_pipeline.safe_text import mask


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person can do about it, and whether waiting may help."""

    advice: str
    retryable: bool = True


_AWAY = Verdict("Check that it runs and can be reached; a run waits for it while there is time.")
_BUSY = Verdict("Another process holds it for long; see which with `esg-pipeline status`.")
_FULL = Verdict("Make space on its disk.")
_READ_ONLY = Verdict(
    "It is read-only: point ESG_LEDGER_URL at the primary, or make the file writable."
)
_WRONG_FILE = Verdict(
    "Restore it from a backup, or name another file in ESG_LEDGER_URL.", retryable=False
)
_NO_TABLES = Verdict(
    "Its tables are gone: was it replaced while it was in use? Restore it from a backup.",
    retryable=False,
)
_NOT_ALLOWED = Verdict(
    "Open the ledger once as the owner of its tables (`esg-pipeline doctor`), then give this role "
    "its rights with the ledger's grants.sql.",
    retryable=False,
)

_POSTGRESQL = {
    "25006": _READ_ONLY,
    "42501": _NOT_ALLOWED,
    "42P01": _NO_TABLES,
    "53100": _FULL,
    "55P03": _BUSY,  # lock timeout
    "57014": _BUSY,  # statement timeout
}
"""By SQLSTATE; see PostgreSQL's manual, appendix A."""

_SQLITE = {
    "SQLITE_BUSY": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_CORRUPT": _WRONG_FILE,
    "SQLITE_NOTADB": _WRONG_FILE,
    "SQLITE_IOERR": _AWAY,
    "SQLITE_CANTOPEN": _AWAY,
    "SQLITE_NOMEM": _AWAY,
    "SQLITE_PROTOCOL": _AWAY,
    "SQLITE_PERM": _AWAY,
}
"""By primary result code; extended ones are these with a suffix (https://sqlite.org/rescode.html)."""


def judge(error: DBAPIError) -> Verdict | None:
    """What to do about a driver's error, or None when it is a mistake in our own code."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", "")
        if name == "SQLITE_ERROR" and str(cause).startswith("no such table: esg_"):
            return _NO_TABLES  # it has no code of its own
        return _SQLITE.get("_".join(name.split("_")[:2]))
    if isinstance(cause, psycopg.Error):
        away = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        return _POSTGRESQL.get(cause.sqlstate or "", _AWAY if away else None)
    return None


def first_line(error: DBAPIError) -> str:
    """The driver's own words without secrets, cut to one line."""
    lines = mask(str(error.orig)).strip().splitlines() or [type(error.orig).__name__]
    return lines[0].strip().rstrip(".")[:200]
