"""The scores of the simulated firm: the right answer for an account on a date, and nothing else.

A score depends on the account and the date only, so that a test can work out, without asking
the server, what the report must say. It never reads a clock, a file or a random source.
"""

from datetime import date
from hashlib import blake2b
from typing import Any

PILLARS = ("environmental", "social", "governance")
THOUSANDTHS = 1000
HIGHEST = 100 * THOUSANDTHS
LARGEST_MOVE = 800
"""How far a score strays from the account's base on a day, thousandths of a point."""

STEPS = (1000, 100, 10, 5, 1)
"""How fine an account's scores are, thousandths: 0 to 3 decimals; 5 gives half cases (72.675)."""

SHARE_WITH_FOCUS = 0.7


def expected_answer(
    account_id: str, analysis_date: date, primary_esg_focus: str | None
) -> dict[str, Any]:
    """Give the right answer of the API for one account (docs/api-contract.md#the-answer).

    Scores stay within 0.8 points of a base that is the account's for ever, so that a normal day
    looks like the day before. Without a focus, the API picks one for every second account and
    sends neither focus nor focus score for the others.

    Returns:
        The JSON object; scores are numbers with 0 to 3 decimals.
    """
    traits = _digest(account_id)
    day = _digest(f"{account_id} {analysis_date.isoformat()}")
    step = STEPS[traits[0] % len(STEPS)]
    pillars = [_pillar(traits, day, index) for index in range(len(PILLARS))]
    scores = {pillar: _number(value, step) for pillar, value in zip(PILLARS, pillars, strict=True)}
    analysis: dict[str, Any] = {
        "overall_esg_score": _number(sum(pillars) // len(pillars), step),
        **{f"{pillar}_score": score for pillar, score in scores.items()},
    }
    focus = primary_esg_focus
    if focus is None and traits[1] % 2:
        focus = PILLARS[traits[2] % len(PILLARS)]
    if focus is not None:
        analysis["primary_esg_focus"] = focus
        analysis["primary_focus_score"] = scores.get(focus)
    return {
        "status": "success",
        "portfolio_id": account_id,
        "analysis_date": analysis_date.isoformat(),
        "esg_analysis": analysis,
    }


def registered_focus(account_id: str) -> str | None:
    """Give the focus the firm has on file for an account; about 70 % have one.

    The accounts database is made with it, and the GET form of the API uses it, because there
    the caller sends none.
    """
    digest = _digest(f"focus of {account_id}")
    if int.from_bytes(digest[:4]) >= SHARE_WITH_FOCUS * 2**32:
        return None
    return PILLARS[digest[4] % len(PILLARS)]


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _pillar(traits: bytes, day: bytes, index: int) -> int:
    """One pillar's score in thousandths; the base runs over both ends, so 0 and 100 occur."""
    place = slice(4 + 4 * index, 8 + 4 * index)
    base = int.from_bytes(traits[place]) % (HIGHEST + LARGEST_MOVE) - LARGEST_MOVE // 2
    move = int.from_bytes(day[place]) % (2 * LARGEST_MOVE + 1) - LARGEST_MOVE
    return min(max(base + move, 0), HIGHEST)


def _number(thousandths: int, step: int) -> int | float:
    rounded = thousandths // step * step
    whole, rest = divmod(rounded, THOUSANDTHS)
    return rounded / THOUSANDTHS if rest else whole
