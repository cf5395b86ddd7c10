"""The second net under every text that leaves: no secret of the settings is in it.

Errors are written without secrets in the first place. This room only finds and covers; it never
says what it covered.
"""

from collections.abc import Collection
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from esg_pipeline.alerts.facts import one_line
from esg_pipeline.settings import Settings

COVER = "***"
_SHORTEST = 6
"""A shorter secret would cover ordinary words; it is no secret either."""


def secret_values(settings: Settings) -> frozenset[str]:
    """Every secret text of the settings: tokens and keys, passwords and webhook keys of URLs."""
    found: set[str] = set()
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        if isinstance(value, SecretStr):
            for word in value.get_secret_value().replace(",", " ").split():
                found |= _secret_parts(word, is_webhook=field == "alert_urls")
    forms = found | {quote(text, safe="") for text in found} | {unquote(text) for text in found}
    forms |= {one_line(text) for text in forms}  # as it looks in a fact
    return frozenset(text for text in forms if len(text) >= _SHORTEST)


def mask(text: str, secrets: Collection[str]) -> str:
    """Cover each secret, also where two overlap."""
    covered = [False] * len(text)
    for secret in secrets:
        start = text.find(secret)
        while start >= 0:
            covered[start : start + len(secret)] = [True] * len(secret)
            start = text.find(secret, start + 1)
    pieces = []
    for index, character in enumerate(text):
        if not covered[index]:
            pieces.append(character)
        elif index == 0 or not covered[index - 1]:
            pieces.append(COVER)
    return "".join(pieces)


def _secret_parts(secret: str, *, is_webhook: bool) -> set[str]:
    if "://" not in secret:
        return {secret}
    try:
        url = urlsplit(secret)
    except ValueError:
        return {secret}
    if is_webhook:
        return {secret, url.password or "", url.path.strip("/")}
    # Where a database or a mail server is may be said; only its password may not.
    return {secret, url.password} if url.password else set()
