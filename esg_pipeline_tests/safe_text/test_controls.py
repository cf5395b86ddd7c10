"""What is not seen but acts is disarmed, and what is seen stays."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.safe_text import escaped, flat, visible

EVERY_CHARACTER = "".join(map(chr, range(sys.maxunicode + 1)))
ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = {"\u200c", "\u200d"}


def acting_in(text):
    return {each for each in text if unicodedata.category(each) in ACTING} - JOINERS


@pytest.mark.parametrize("disarm", [visible, escaped, flat])
def test_no_character_of_unicode_that_acts_is_left(disarm):
    assert acting_in(EVERY_CHARACTER)
    assert acting_in(disarm(EVERY_CHARACTER)) == set()
    assert len(disarm(EVERY_CHARACTER).splitlines()) == 1


@pytest.mark.parametrize("disarm", [visible, escaped])
@pytest.mark.parametrize(
    "text",
    ["Müller & Söhne", "株式会社\u3000みどり", "no\u00a0break", "می\u200cخواهم", "👩\u200d🌾", ""],
)
def test_names_of_all_scripts_stay_as_they_are(disarm, text):
    assert disarm(text) == text


@pytest.mark.parametrize(
    ("text", "pictures", "escapes", "one_line"),
    [
        ("a\tb\r\nc", "a␉b␍␊c", r"a\tb\r\nc", "a b c"),
        ("\0\x1b[2J", "␀␛[2J", r"\x00\x1b[2J", "[2J"),
        ("x\x7f\x85", "x␡[U+0085]", r"x\x7f\x85", "x"),
        ("\u202egpj.exe\u2066", "[U+202E]gpj.exe[U+2066]", r"\u202egpj.exe\u2066", "gpj.exe"),
        ("\ufeff\u2028\U000e0041", "[U+FEFF][U+2028][U+E0041]", r"\ufeff\u2028\U000e0041", ""),
        ("half \ud800", "half [U+D800]", r"half \ud800", "half"),
    ],
)
def test_each_outlet_has_its_spelling(text, pictures, escapes, one_line):
    assert (visible(text), escaped(text), flat(text)) == (pictures, escapes, one_line)


@given(st.text())
def test_one_line_is_printable_and_stays_as_it_is(text):
    line = flat(text)
    assert line == "" or line.isprintable()
    assert flat(line) == line
