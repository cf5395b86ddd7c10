"""Makes a log record safe to write: no secret, no control character.

It works on records before anything formats them. What has no fixed value, an account name, it
cannot know: loggers of this package are never given one.
"""

import logging
import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from esg_pipeline.safe_text import escaped, mask

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class SafeRecords(logging.Filter):
    """Masks secrets in message, exception and extra fields.

    Newlines and control characters become visible escapes, so that no outside text can pretend
    to be a record of its own. The record is changed in place and is plain text afterwards.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Make the record safe; it is always let through."""
        record.msg, record.args = _clean(_message(record)), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
        if record.exc_text:
            record.exc_text = _clean_lines(record.exc_text)
        if record.stack_info:
            record.stack_info = _clean_lines(record.stack_info)
        for name in vars(record).keys() - _STANDARD_FIELDS:
            value = getattr(record, name)
            try:
                setattr(record, name, _clean_value(value))
            except Exception:  # it must not stop who logs it
                setattr(record, name, f"<{type(value).__name__} that cannot be shown>")
        return True


def keep_last_resort_safe() -> None:
    """Mask the records that go to standard error because no handler takes them.

    Those of a command or a sensor, outside `log_to`.
    """
    if logging.lastResort is not None:
        logging.lastResort.addFilter(_FOR_LAST_RESORT)


_FOR_LAST_RESORT = SafeRecords()


def _clean(text: str) -> str:
    return escaped(mask(text))


def _clean_lines(text: str) -> str:
    return "\n".join(map(escaped, mask(text).splitlines()))


def _clean_value(value: Any) -> Any:
    """The value in JSON's own types."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {_clean(str(key)): _clean_value(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean_value(each) for each in value]
        case date():  # a datetime, too
            return value.isoformat()
        case _:
            return _clean(str(value))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # it must not stop who logs it
        return f"{record.msg!r} (its arguments do not fit)"
