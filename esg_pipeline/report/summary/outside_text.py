"""Text that comes from outside, made harmless to look at: names, ids, who asked and why.

Markup is escaped by the templates; this is about what escaping leaves alone. The text is changed
for the eye only: the report and the JSON keep it byte for byte.
"""

import unicodedata

LONGEST_SHOWN = 120
FORMULA_START = ("=", "+", "-", "@")
"""As in the report: a table pasted into a spreadsheet must not run (OWASP ASVS 1.2.10)."""

JOINERS = ("\u200c", "\u200d")
"""Zero-width, but needed to write Persian, Indic scripts and emoji; they reorder nothing."""

_CONTROL_PICTURES = 0x2400
_DELETE, _DELETE_PICTURE = 0x7F, "\u2421"
_NOT_SHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def shown(text: str) -> str:
    """The text with every control, direction and format character made visible, and cut.

    Control characters become their pictures (TAB is `␉`), all others their number (`[U+202E]`).
    """
    safe = "".join(map(_visible, text[:LONGEST_SHOWN]))
    return safe if len(text) <= LONGEST_SHOWN else safe + "…"


def shown_name(name: str) -> str:
    """An account name as `shown`, with the report's `'` before what looks like a formula."""
    return "'" + shown(name) if name.startswith(FORMULA_START) else shown(name)


def _visible(character: str) -> str:
    code = ord(character)
    if unicodedata.category(character) not in _NOT_SHOWN or character in JOINERS:
        return character
    if code < ord(" "):
        return chr(_CONTROL_PICTURES + code)
    return _DELETE_PICTURE if code == _DELETE else f"[U+{code:04X}]"
