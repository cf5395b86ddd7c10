"""Characters that are not seen but act: line ends, terminal controls, changes of direction.

Which they are stands here once, and the three ways to disarm them: pictures for people's pages,
escapes for logs, nothing for a single line.
"""

import unicodedata

JOINERS = ("\u200c", "\u200d")
"""Zero-width, but needed to write Persian, Indic scripts and emoji; they reorder nothing."""

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's controls, format characters, halves of surrogate pairs, line and paragraph ends."""
_CONTROL_PICTURES = 0x2400
_DELETE, _DELETE_PICTURE = 0x7F, "\u2421"


def visible(text: str) -> str:
    """The text with a picture for each control (TAB is `␉`), a number for the rest: `[U+202E]`."""
    return text if _is_plain(text) else "".join(map(_picture, text))


def escaped(text: str) -> str:
    r"""The text with Python's escape for each of them: `\n`, `\x1b`, `\u202e`."""
    return text if _is_plain(text) else "".join(map(_escape, text))


def flat(text: str) -> str:
    """One printable line: a space for line ends and controls, nothing for the rest."""
    spaced = "".join(" " if each.isspace() or _is_control(each) else each for each in text)
    return " ".join("".join(filter(str.isprintable, spaced)).split())


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc"


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN and character not in JOINERS


def _picture(character: str) -> str:
    code = ord(character)
    if not _is_unseen(character):
        return character
    if code < ord(" "):
        return chr(_CONTROL_PICTURES + code)
    return _DELETE_PICTURE if code == _DELETE else f"[U+{code:04X}]"


def _escape(character: str) -> str:
    if not _is_unseen(character):
        return character
    return character.encode("unicode_escape").decode("ascii")
