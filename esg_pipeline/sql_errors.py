"""What a database's error means, and how it is said in one line; for the ledger and the accounts.

Judged by the driver's own codes where it has one. Nothing is caught here, and what to do about it
is said by whose database it is.
"""

import re
import sqlite3
from enum import Enum, auto

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from esg_pipeline.safe_text import mask

MAX_LENGTH = 300


class Trouble(Enum):
    """What is the matter with the database."""

    AWAY = auto()
    """It cannot be reached, or the connection broke."""
    BUSY = auto()
    """Somebody holds a lock, or a statement took too long."""
    FULL = auto()
    DISK = auto()
    """Its file cannot be read or written."""
    CANNOT_OPEN = auto()
    """Its file cannot be opened."""
    READ_ONLY = auto()
    DAMAGED = auto()
    """Its file is damaged, or is no database."""
    NO_TABLE = auto()
    NOT_ALLOWED = auto()
    LOGIN_REFUSED = auto()
    """It does not know the user or the database, or wants another password."""


_SQLITE = {
    "SQLITE_BUSY": Trouble.BUSY,
    "SQLITE_LOCKED": Trouble.BUSY,
    "SQLITE_FULL": Trouble.FULL,
    "SQLITE_READONLY": Trouble.READ_ONLY,
    "SQLITE_CORRUPT": Trouble.DAMAGED,
    "SQLITE_NOTADB": Trouble.DAMAGED,
    "SQLITE_IOERR": Trouble.DISK,
    "SQLITE_CANTOPEN": Trouble.CANNOT_OPEN,
    "SQLITE_NOMEM": Trouble.CANNOT_OPEN,
    "SQLITE_PROTOCOL": Trouble.CANNOT_OPEN,
    "SQLITE_PERM": Trouble.CANNOT_OPEN,
}
"""By primary result code; extended ones are these with a suffix (https://sqlite.org/rescode.html)."""

_SQLSTATE = {
    "25006": Trouble.READ_ONLY,
    "42501": Trouble.NOT_ALLOWED,
    "42P01": Trouble.NO_TABLE,
    "53100": Trouble.FULL,
    "55P03": Trouble.BUSY,  # lock timeout
    "57014": Trouble.BUSY,  # statement timeout
}
"""PostgreSQL's manual, appendix A."""

_DATA_EXCEPTION = "22"
"""SQLSTATE class whose texts quote values of the table, so perhaps an account name."""

_REFUSED = re.compile(r"authentication failed|no password supplied|does not exist|pg_hba\.conf")
"""PostgreSQL gives no code for what it answers at connect."""


def trouble_of(error: DBAPIError) -> Trouble | None:
    """What the error means; None when the statement itself is wrong."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", "")
        if name == "SQLITE_ERROR" and str(cause).startswith("no such table: "):
            return Trouble.NO_TABLE  # it has no code of its own
        return _SQLITE.get("_".join(name.split("_")[:2]))
    known = _SQLSTATE.get(getattr(cause, "sqlstate", None) or "")
    if known is not None or not isinstance(error, OperationalError | InterfaceError):
        return known
    return Trouble.LOGIN_REFUSED if _REFUSED.search(str(cause)) else Trouble.AWAY


def words_of(error: DBAPIError) -> str:
    """The database's own words, one line, without secrets and without values of a table."""
    if (getattr(error.orig, "sqlstate", None) or "").startswith(_DATA_EXCEPTION):
        return type(error.orig).__name__
    lines = mask(str(error.orig)).strip().splitlines() or [type(error.orig).__name__]
    words = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    words = words.partition(" with text ")[0]  # SQLite quotes a text that is not UTF-8
    return words.strip().rstrip(".")[:MAX_LENGTH]
