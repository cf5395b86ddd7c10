"""Faults of the answer: well-formed JSON that says something wrong.

Each is a change of the right answer. Nothing here touches the transport.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aiohttp import web

from esg_pipeline.sandbox.call import AnswerFunction, Call, encode, respond
from esg_pipeline.sandbox.invented_scores import PILLARS, expected_answer

Answer = dict[str, Any]
Change = Callable[[Answer, Call], None]

STALE_DAYS = 30
JUMP = 20
OUT_OF_RANGE = (-1, 100.0001, 101, 1e18, -0.001)
TEXTS = ("72.5", "", "N/A", "72,5", " 72 ")
CONTAINERS: tuple[object, ...] = ([72], {"value": 72}, [])


def changed(change: Change) -> AnswerFunction:
    """Make a fault out of a change of the right answer, made in place."""

    async def answer(call: Call) -> web.StreamResponse:
        wrong = call.right_answer()
        change(wrong, call)
        return respond(encode(wrong))

    return answer


def field_set(field: str, value: object) -> Change:
    """Set a top-level field."""

    def change(answer: Answer, call: Call) -> None:
        answer[field] = value

    return change


def field_removed(field: str) -> Change:
    """Leave out a top-level field."""

    def change(answer: Answer, call: Call) -> None:
        del answer[field]

    return change


def score_set(field: str, *values: object) -> Change:
    """Set a score to one of the values; which one depends on the account."""

    def change(answer: Answer, call: Call) -> None:
        answer["esg_analysis"][field] = values[sum(call.account_id.encode()) % len(values)]

    return change


def score_removed(field: str) -> Change:
    """Leave out a score."""

    def change(answer: Answer, call: Call) -> None:
        del answer["esg_analysis"][field]

    return change


def scores_mapped(to: Callable[[float], float | None]) -> Change:
    """Change every score, the focus score too."""

    def change(answer: Answer, call: Call) -> None:
        analysis = answer["esg_analysis"]
        for field in analysis:
            if field.endswith("_score"):
                analysis[field] = to(analysis[field])

    return change


def date_moved(days: int) -> Change:
    """Move the analysis date; the scores are those of that day."""

    def change(answer: Answer, call: Call) -> None:
        day = call.analysis_date + timedelta(days=days)
        answer.update(expected_answer(call.account_id, day, call.primary_esg_focus))

    return change


def date_with_slashes(answer: Answer, call: Call) -> None:
    """Write the date as 11/24/2026."""
    answer["analysis_date"] = f"{call.analysis_date:%m/%d/%Y}"


def another_accounts(answer: Answer, call: Call) -> None:
    """Answer for another account, id and scores."""
    last = "0" if call.account_id[-1] != "0" else "1"
    other = call.account_id[:-1] + last
    answer.update(expected_answer(other, call.analysis_date, call.primary_esg_focus))


def copied_from_yesterday(answer: Answer, call: Call) -> None:
    """Yesterday's scores under today's date."""
    date_moved(-1)(answer, call)
    answer["analysis_date"] = call.analysis_date.isoformat()


def another_focus(answer: Answer, call: Call) -> None:
    """Another focus than asked, with its right score."""
    asked = call.primary_esg_focus or PILLARS[0]
    other = PILLARS[(PILLARS.index(asked) + 1) % len(PILLARS)]
    answer.update(expected_answer(call.account_id, call.analysis_date, other))


def unknown_focus(answer: Answer, call: Call) -> None:
    """A focus that is not one of the three."""
    answer["esg_analysis"].update(primary_esg_focus="biodiversity", primary_focus_score=50)


def jump(score: float) -> float:
    """Twenty points up, or down where there is no room."""
    return round(score + JUMP if score <= 100 - JUMP else score - JUMP, 3)
