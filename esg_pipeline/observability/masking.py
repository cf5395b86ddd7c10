"""Makes a log record safe to write: no secret of the settings, no control character.

It works on records before anything formats them, and changes no other text. What has no fixed
value here, an account name, it cannot know: loggers of this package are never given one.
"""

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import SecretStr

from esg_pipeline.safe_text import escaped
from esg_pipeline.settings import Settings

MASK = "***"
WHOLE_WORD_BELOW = 5
"""A secret shorter than this is masked only as a whole word, or "esg" would eat our own name."""
TOKEN_PART = 8
"""In the URL of a chat service, each part this long may be its token."""

_IN_PLAIN_SIGHT = re.compile(
    r"\b(?:bearer|basic)\s+([A-Za-z0-9\-._~+/]{16,}=*)|://[^\s:/@]*:([^\s/@]+)@", re.IGNORECASE
)
"""A token or password that its surroundings give away, known to us or not."""
_URL_PASSWORD = re.compile(r"://[^:/?#@]*:([^@]*)@")
_URL_SECRET_VALUE = re.compile(
    r"[?&][^=&#]*(?:pass|pwd|secret|token|key|sig)[^=&#]*=([^&#]+)", re.IGNORECASE
)
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class SecretFilter(logging.Filter):
    """Masks the secrets of the settings, and later ones, in message, exception and extra fields.

    Newlines and control characters become visible escapes, so that no outside text can pretend
    to be a record of its own. The record is changed in place and is plain text afterwards.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._secrets: tuple[str, ...] = ()
        for secret in _secrets_of(settings):
            self.register_secret(secret)

    def register_secret(self, value: str) -> None:
        """Mask this value, too, from now on: a token that was fetched."""
        # The longest first: most texts hold none, and then order does not matter.
        known = {*self._secrets, *_spellings(value)} - {""}
        self._secrets = tuple(sorted(known, key=len, reverse=True))

    def mask(self, text: str) -> str:
        """The text with `***` for each secret; overlapping ones become one mask."""
        spans = sorted(_found(text, self._secrets))
        if not spans:
            return text
        parts: list[str] = []
        end = 0
        for first, last in spans:
            if first > end or not parts:
                parts += [text[end:first], MASK]
            end = max(end, last)
        return "".join(parts) + text[end:]

    def filter(self, record: logging.LogRecord) -> bool:
        """Make the record safe; it is always let through."""
        record.msg, record.args = self._clean(_message(record)), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
        if record.exc_text:
            record.exc_text = self._clean_lines(record.exc_text)
        if record.stack_info:
            record.stack_info = self._clean_lines(record.stack_info)
        for name in vars(record).keys() - _STANDARD_FIELDS:
            value = getattr(record, name)
            try:
                setattr(record, name, self._clean_value(value))
            except Exception:  # it must not stop who logs it
                setattr(record, name, f"<{type(value).__name__} that cannot be shown>")
        return True

    def _clean(self, text: str) -> str:
        return escaped(self.mask(text))

    def _clean_lines(self, text: str) -> str:
        return "\n".join(map(self._clean, self.mask(text).splitlines()))

    def _clean_value(self, value: Any) -> Any:
        """The value in JSON's own types."""
        match value:
            case None | bool() | int():
                return value
            case float():
                return value if math.isfinite(value) else str(value)
            case Mapping():
                return {
                    self._clean(str(key)): self._clean_value(each) for key, each in value.items()
                }
            case list() | tuple() | set() | frozenset():
                return [self._clean_value(each) for each in value]
            case date():  # a datetime, too
                return value.isoformat()
            case _:
                return self._clean(str(value))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # it must not stop who logs it
        return f"{record.msg!r} (its arguments do not fit)"


def _found(text: str, secrets: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where each secret stands in the text, overlaps included."""
    for secret in secrets:
        first = text.find(secret)
        while first >= 0:
            last = first + len(secret)
            if len(secret) >= WHOLE_WORD_BELOW or _is_word(text, first, last):
                yield first, last
            first = text.find(secret, first + 1)
    for match in _IN_PLAIN_SIGHT.finditer(text):
        yield match.span(match.lastindex or 0)


def _is_word(text: str, first: int, last: int) -> bool:
    around = text[max(0, first - 1) : first] + text[last : last + 1]
    return not any(character.isalnum() or character == "_" for character in around)


def _secrets_of(settings: Settings) -> Iterator[str]:
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
            if field == "alert_urls":
                yield from (part for part in re.split(r"[^\w.-]+", text) if len(part) >= TOKEN_PART)
            if "://" in text:
                yield from _secrets_in_url(text)
            else:
                yield text
        elif isinstance(value, str) and "://" in value:
            yield from _secrets_in_url(value)


def _secrets_in_url(url: str) -> Iterator[str]:
    """Passwords, and query values whose name says that they are secret."""
    found = [*_URL_PASSWORD.findall(url), *_URL_SECRET_VALUE.findall(url)]
    with suppress(ValueError):
        found.append(urlsplit(url).password or "")  # one that holds an @, which a mail URL allows
    for secret in found:
        yield from (secret, unquote(secret))


def _spellings(secret: str) -> Iterator[str]:
    """The secret as it is, in a URL, in JSON and in Python's `repr`."""
    yield secret
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret))
    yield from (json.dumps(secret)[1:-1], repr(secret)[1:-1])
