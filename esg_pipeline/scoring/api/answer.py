"""Reads one answer of the ESG Portfolio Analysis API: strict, pure, and never a guess.

What is not exactly right becomes N/A with a reason (docs/design.md#trusted-answers). Nothing here
knows HTTP, time or the disk, and no value of an answer is ever copied into a message.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, DecimalException
from functools import lru_cache
from typing import Any, Literal

import jiter

from esg_pipeline.ratings import Focus, ProcessingStatus, Reason
from esg_pipeline.settings import Settings

Path = tuple[str, ...]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_STATUS_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,23}")
_FOCUSES = {focus.value: focus for focus in Focus}
_HUNDRED = Decimal(100)
_CENT = Decimal("0.01")
MAX_DIGITS = 400
"""Longest number that is taken for a score; longer ones are no measurement, and would fill the
cache."""


@dataclass(frozen=True, slots=True)
class AnswerPaths:
    """Where each field lies in the answer, as keys from the outside in."""

    status: Path
    portfolio_id: Path
    overall: Path
    pillars: tuple[Path, Path, Path]
    analysis_date: Path
    focus: Path
    focus_score: Path

    @classmethod
    def from_settings(cls, settings: Settings) -> "AnswerPaths":
        """Split the dotted paths of `ESG_API_FIELD_…`."""

        def path(dotted: str) -> Path:
            return tuple(dotted.split("."))

        return cls(
            status=path(settings.api_field_status),
            portfolio_id=path(settings.api_field_portfolio_id),
            overall=path(settings.api_field_overall_esg_score),
            pillars=(
                path(settings.api_field_environmental_score),
                path(settings.api_field_social_score),
                path(settings.api_field_governance_score),
            ),
            analysis_date=path(settings.api_field_analysis_date),
            focus=path(settings.api_field_primary_esg_focus),
            focus_score=path(settings.api_field_primary_focus_score),
        )


@dataclass(slots=True)
class Answer:
    """What an answer says of an account; the fields mean what they mean in `Rating`.

    An answer that cannot be read at all is Failed with reason `unreadable_response`.
    """

    status: ProcessingStatus
    reason: Reason | None = None
    message: str = ""
    overall: int | None = None
    environmental: int | None = None
    social: int | None = None
    governance: int | None = None
    focus: Focus | None = None
    focus_score: int | None = None
    analysis_date: date | None = None


Validity = Literal["valid", "missing", "invalid"]
_REASON: dict[Validity, Reason] = {
    "missing": Reason.INCOMPLETE_RESPONSE,
    "invalid": Reason.INVALID_RESPONSE,
}


class _Problems:
    """What is wrong with an answer that still has an overall score; the first one decides."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[tuple[Reason, str]] = []

    def check(self, validity: Validity, path: Path) -> None:
        if validity != "valid":
            self.found.append((_REASON[validity], f"{validity}: {'.'.join(path)}"))


def read_answer(  # noqa: PLR0911 - the checks of docs/design.md#trusted-answers
    body: bytes,
    *,
    account_id: str,
    asked_focus: Focus | None,
    day: date,
    paths: AnswerPaths,
    max_staleness_days: int,
) -> Answer:
    """Read the body of a 2xx response.

    Args:
        body: Decoded bytes, already bounded in size.
        account_id: Must be echoed, byte for byte.
        asked_focus: The focus the account has, if any; the answer must name the same.
        day: The business date; an analysis from later is not believed.
        max_staleness_days: An older analysis makes the rating Partial, values kept.

    Returns:
        What the answer is worth (docs/design.md#processing-status). Checked in the order: JSON
        object, status, identity, scores, date, focus; the first problem decides the reason, the
        message lists all.
    """
    try:
        document = jiter.from_json(
            # NaN is let in here, so that it spoils its own cell and not the whole answer.
            body,
            allow_inf_nan=True,
            catch_duplicate_keys=True,
            float_mode="lossless-float",
        )
    except ValueError:
        return _failed(Reason.UNREADABLE_RESPONSE, "the body is not one whole, unambiguous JSON")
    if type(document) is not dict:
        return _failed(Reason.UNREADABLE_RESPONSE, "the body is not a JSON object")

    api_status = _find(document, paths.status)
    if api_status not in ("success", "partial"):
        return _failed(Reason.INVALID_RESPONSE, f"status is {_describe_status(api_status)}")
    echoed = _find(document, paths.portfolio_id)
    if echoed is None:
        return _failed(Reason.INCOMPLETE_RESPONSE, f"missing: {'.'.join(paths.portfolio_id)}")
    if echoed != account_id:
        return _failed(Reason.IDENTITY_MISMATCH, "the answer is for another account")

    validity, overall = _read_score(_find(document, paths.overall))
    if validity != "valid":
        return _failed(_REASON[validity], f"{validity}: {'.'.join(paths.overall)}")
    answer = Answer(ProcessingStatus.SUCCESSFUL, overall=overall)
    problems = _Problems()
    _read_pillars(document, paths, answer, problems)
    _read_date(document, paths, answer, problems, day, max_staleness_days)
    _read_focus(document, paths, answer, problems, asked_focus)
    if not problems.found and api_status == "partial":
        problems.found.append((Reason.INCOMPLETE_RESPONSE, "the API calls its answer partial"))
    if problems.found:
        answer.status = ProcessingStatus.PARTIAL
        answer.reason = problems.found[0][0]
        answer.message = "; ".join(text for _, text in problems.found)
    return answer


def _failed(reason: Reason, message: str) -> Answer:
    return Answer(ProcessingStatus.FAILED, reason, message)


def _find(document: dict[str, Any], path: Path) -> Any:
    """The value at a path; None when any part of the way is missing or null."""
    value: Any = document
    for key in path:
        if type(value) is not dict:
            return None
        value = value.get(key)
    return value


def _describe_status(status: Any) -> str:
    """A status for the error log: its word if it is a plain word, else only its kind."""
    if status is None:
        return "missing"
    if isinstance(status, str) and _STATUS_WORD.fullmatch(status):
        return f"{status!r}"
    return "not a known word"


def _read_score(value: Any) -> tuple[Validity, int | None]:
    """A score in hundredths, rounded half up on the digits the API sent."""
    if value is None:
        return "missing", None
    kind = type(value)  # bool is an int to isinstance
    if kind is int:
        return ("valid", value * 100) if 0 <= value <= 100 else ("invalid", None)  # noqa: PLR2004
    if kind is not jiter.LosslessFloat:
        return "invalid", None
    hundredths = _hundredths(str(value))
    return ("invalid", None) if hundredths is None else ("valid", hundredths)


@lru_cache(maxsize=20_000)  # more than the 10,001 scores of two decimals
def _hundredths(number: str) -> int | None:
    """A JSON number of 0 to 100 in hundredths, rounded half up; None for any other."""
    if len(number) > MAX_DIGITS:
        return None
    try:
        points = Decimal(number)
        if not (points.is_finite() and 0 <= points <= _HUNDRED):
            return None
        return int(points.quantize(_CENT, ROUND_HALF_UP).scaleb(2))
    except DecimalException:
        return None


def _read_pillars(
    document: dict[str, Any], paths: AnswerPaths, answer: Answer, problems: _Problems
) -> None:
    environmental, social, governance = paths.pillars
    validity, answer.environmental = _read_score(_find(document, environmental))
    problems.check(validity, environmental)
    validity, answer.social = _read_score(_find(document, social))
    problems.check(validity, social)
    validity, answer.governance = _read_score(_find(document, governance))
    problems.check(validity, governance)


def _read_date(
    document: dict[str, Any],
    paths: AnswerPaths,
    answer: Answer,
    problems: _Problems,
    day: date,
    max_staleness_days: int,
) -> None:
    validity, analysis_date = _strict_date(_find(document, paths.analysis_date))
    if analysis_date is not None and analysis_date > day:
        validity, analysis_date = "invalid", None
    problems.check(validity, paths.analysis_date)
    answer.analysis_date = analysis_date
    if analysis_date is not None and (age := (day - analysis_date).days) > max_staleness_days:
        problems.found.append((Reason.STALE_ANALYSIS, f"the analysis is {age} days old"))


def _strict_date(value: Any) -> tuple[Validity, date | None]:
    if value is None:
        return "missing", None
    is_plausible = type(value) is str and len(value) == len("2026-11-24")
    found = _iso_date(value) if is_plausible else None
    return ("invalid", None) if found is None else ("valid", found)


@lru_cache(maxsize=64)
def _iso_date(text: str) -> date | None:
    # date.fromisoformat alone would also take 20261124 and 2026-W48-2.
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _read_focus(
    document: dict[str, Any],
    paths: AnswerPaths,
    answer: Answer,
    problems: _Problems,
    asked: Focus | None,
) -> None:
    """The focus and its score: both N/A unless the focus is one of ours, and the one asked."""
    said = _find(document, paths.focus)
    if said is None:
        if asked is not None:
            problems.check("missing", paths.focus)
        return
    focus = _FOCUSES.get(said.lower()) if type(said) is str else None
    if focus is None or asked not in (None, focus):
        problems.check("invalid", paths.focus)
        return
    answer.focus = focus
    validity, answer.focus_score = _read_score(_find(document, paths.focus_score))
    problems.check(validity, paths.focus_score)


Reader = Callable[[bytes, str, Focus | None], Answer]


def answer_reader(settings: Settings, day: date) -> Reader:
    """`read_answer` with everything bound that is the same for all accounts of a run."""
    paths = AnswerPaths.from_settings(settings)
    max_staleness_days = settings.api_max_staleness_days

    def read(body: bytes, account_id: str, asked_focus: Focus | None) -> Answer:
        return read_answer(
            body,
            account_id=account_id,
            asked_focus=asked_focus,
            day=day,
            paths=paths,
            max_staleness_days=max_staleness_days,
        )

    return read
