"""What a spreadsheet takes for the start of a formula, and the `'` that stops it.

The list is that of the report's contract (docs/design.md#report, OWASP ASVS 1.2.10); nothing else
in this package may have one of its own.
"""

import re

FORMULA_START = r"^\x00*[=+\-@＝＋－＠\t\r\n]"
"""As a regular expression that Python, Arrow and Polars read alike; LibreOffice drops a NUL before
the character that counts."""

_START = re.compile(FORMULA_START)


def guarded(text: str) -> str:
    """The text, with a leading `'` if a spreadsheet would run it."""
    return f"'{text}" if _START.match(text) else text
