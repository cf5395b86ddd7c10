"""Secrets taken out of a text: known ones in every spelling, others that give themselves away.

The list of known ones belongs to the process, because an error crosses rooms before anybody reads
it: the settings register theirs when they are read, the scoring a token when it is fetched. It is
never said which secret was covered.
"""

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK = "***"
WHOLE_WORD_BELOW = 5
"""A secret shorter than this is masked only as a whole word, or "esg" would eat our own name."""
TOKEN_PART = 8
"""In the URL of a chat service, each part this long may be its token."""

_GIVEN_AWAY = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"(?i:\b(?:bearer|basic))\s+([\w\-.~+/]{16,}=*)",
        r"(?i:authorization)[\"']?\s*[:=]\s*[\"']?(?:[A-Za-z]{1,16}\s+)?([^\s\"',;]+)",
        r"(eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)",  # a JSON Web Token
        r"(AGE-SECRET-KEY-1[0-9A-Z]{8,})",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(.{1,8000}?)(?:-----END|$)",
        # The password of a URL, which may hold an @, or a slash unless it looks like port and path.
        # "password" is the word of our own examples.
        r"://[^\s:/?#@]*:(?!password@)([^\s/?#]{1,300})@",
        r"://[^\s:/?#@]*:(?!password@|\d{1,5}[/?#])([^\s@]{1,300})@",
        r"://([^\s:/?#@]{20,300})@",  # so long a user is a token
    )
)
_NAMED = (
    re.compile(r"(?<![\w.%-])([\w.%-]{1,64})=(?:\"([^\"]{1,300})\"|'([^']{1,300})'|([^\s&#\"']+))"),
    re.compile(r"[\"']([\w.-]{1,64})\\*[\"']\s*:\s*\\*[\"']([^\"'\\]+)"),
)
"""A name and its value: in a query, a form or a connection string, and in JSON."""
_SECRET_NAME = re.compile(
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|sig(?:nature)?|credentials?"
    r"|(?:^|api|access|account|private|routing|secret|shared|signing)[_.-]?key)$",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"://[^:/?#@]*:([^@]*)@")
_URL_SECRET_VALUE = re.compile(
    r"[?&][^=&#]*(?:pass|pwd|secret|token|key|sig)[^=&#]*=([^&#]+)", re.IGNORECASE
)
_HOST_NAME = re.compile(r"(?:[a-z0-9-]+\.)+(?:[a-z]{2,24}|\d{1,3})")


class Masker:
    """A list of secrets, and the masking of texts by it. For any number of threads."""

    def __init__(self) -> None:
        self._known: dict[str, bool] = {}
        """Spelling, and whether it counts only as a whole word."""
        self._lock = Lock()

    def register_secret(self, value: str) -> None:
        """Mask this value from now on, however it is spelled."""
        is_word = len(value) < WHOLE_WORD_BELOW
        spellings = {each for each in _spellings(value) if each.strip()}
        with self._lock:
            known = self._known
            self._known = known | {each: is_word and known.get(each, True) for each in spellings}

    def register_secrets_in(self, text: str) -> None:
        """Mask what gives itself away in this setting (a URL, a query) wherever it stands alone."""
        found = {text[first:last] for first, last in _given_away(text)}
        found |= {*_URL_PASSWORD.findall(text), *_URL_SECRET_VALUE.findall(text)}
        with suppress(ValueError):
            found.add(urlsplit(text).password or "")
        for secret in found:
            self.register_secret(secret)
            self.register_secret(unquote(secret))

    def register_webhooks(self, urls: str) -> None:
        """Mask each part of these URLs that may be a token; their form depends on the service."""
        self.register_secrets_in(urls)
        for url in re.split(r"[\s,]+", urls):
            address = re.sub(r"[?&][^=&]*=", "/", url.partition("://")[2])
            for part in re.split(r"[^\w.%~+=-]+", address):
                if len(part) >= TOKEN_PART and not _HOST_NAME.fullmatch(part):
                    self.register_secret(part)
                    self.register_secret(unquote(part))

    def mask(self, text: str) -> str:
        """The text with `***` for each secret; overlapping ones become one mask."""
        spans = sorted([*_found(text, self._known), *_given_away(text)])
        if not spans:
            return text
        parts: list[str] = []
        end = 0
        for first, last in spans:
            if first > end or not parts:
                parts += [text[end:first], MASK]
            end = max(end, last)
        return "".join(parts) + text[end:]


OF_THIS_PROCESS = Masker()
mask = OF_THIS_PROCESS.mask
register_secret = OF_THIS_PROCESS.register_secret
register_secrets_in = OF_THIS_PROCESS.register_secrets_in
register_webhooks = OF_THIS_PROCESS.register_webhooks


def _found(text: str, known: dict[str, bool]) -> Iterator[tuple[int, int]]:
    """Where each known secret stands in the text, overlaps included."""
    for secret, is_word in known.items():
        first = text.find(secret)
        while first >= 0:
            last = first + len(secret)
            if not is_word or _is_word(text, first, last):
                yield first, last
            first = text.find(secret, first + 1)


def _is_word(text: str, first: int, last: int) -> bool:
    around = text[max(0, first - 1) : first] + text[last : last + 1]
    return not any(character.isalnum() or character == "_" for character in around)


def _given_away(text: str) -> Iterator[tuple[int, int]]:
    """Where a secret stands that its surroundings show to be one, known to us or not."""
    for pattern in _GIVEN_AWAY:
        for match in pattern.finditer(text):
            yield match.span(1)
    for pattern in _NAMED:
        for match in pattern.finditer(text):
            if _SECRET_NAME.search(match[1]):
                yield match.span(match.lastindex or 0)


def _spellings(secret: str) -> Iterator[str]:
    """The secret as it is, and as it looks in a URL, JSON, Python, HTML, SQL and base64.

    Also one in the other, as JSON in an error's `repr`.
    """
    once = {secret, " ".join(secret.split()), *_quoted(secret)}
    yield from once
    for each in once:
        yield from _quoted(each)
    if len(secret) >= WHOLE_WORD_BELOW:
        yield from _in_base64(secret)
        yield from _in_base64(quote_plus(secret, errors="replace"))


def _quoted(text: str) -> Iterator[str]:
    for in_url in (
        quote(text, safe="", errors="replace"),
        quote(text, errors="replace"),
        quote_plus(text, errors="replace"),
    ):
        yield in_url
        yield re.sub("%..", lambda code: code[0].lower(), in_url)
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield from (repr(text)[1:-1], repr(f'{text}"')[1:-2])  # the other quote in the text matters
    in_html = html.escape(text)
    yield from (in_html, in_html.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"))
    yield text.replace("'", "''")


def _in_base64(secret: str) -> Iterator[str]:
    """What of the secret is the same in base64, whatever stands before and after it."""
    value = secret.encode(errors="replace")
    for before in range(3):  # bytes, of the group of three in which it begins
        encoded = b64encode(bytes(before) + value).decode()
        first = -(-before * 8 // 6)
        last = (before + len(value)) * 8 // 6
        yield encoded[first:last]
        yield encoded[first:last].translate(str.maketrans("+/", "-_"))
