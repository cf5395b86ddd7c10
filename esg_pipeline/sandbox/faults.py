"""The one table of faults: every way in which the simulated API can misbehave, by name.

Every fault test of the project takes its faults from here. How a fault is done lies in the
modules beside; whom it hits is the matter of `fault_plan`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from esg_pipeline.sandbox import answer_faults as wrong
from esg_pipeline.sandbox import body_faults as body
from esg_pipeline.sandbox import transport_faults as transport
from esg_pipeline.sandbox.answer_faults import changed
from esg_pipeline.sandbox.call import AnswerFunction

OVERALL = "overall_esg_score"


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which the API misbehaves.

    Attributes:
        meaning: One line.
        answer: Answers the call so.
    """

    meaning: str
    answer: AnswerFunction


FAULTS: Mapping[str, Fault] = {
    # Statuses
    "http_400": Fault("400 with a JSON error", body.error_status(400, "bad request")),
    "http_401": Fault("401 for this account", body.error_status(401, "invalid token")),
    "http_403": Fault("403 for this account", body.error_status(403, "forbidden")),
    "http_404": Fault("404, the account is not known", body.error_status(404, "no such portfolio")),
    "http_408": Fault("408, the server gave up waiting", body.error_status(408, "timeout")),
    "http_422": Fault("422, the request is refused", body.error_status(422, "unprocessable")),
    "http_429": Fault("429 with Retry-After", body.throttle),
    "http_500": Fault("500 with a JSON error", body.error_status(500, "internal error")),
    "http_502": Fault("502 with a proxy's HTML page", body.gateway_page),
    "http_503": Fault("503 with a JSON error", body.error_status(503, "unavailable")),
    "http_504": Fault("504 with a JSON error", body.error_status(504, "upstream timed out")),
    "redirect": Fault("307 to another origin", body.redirect),
    "echo_token": Fault("500 that repeats the Authorization header", body.echo_token),
    "big_error": Fault("500 with a body of 5 MB", body.big_error),
    # Transport
    "timeout": Fault("accepts the call and never answers", transport.hang),
    "slow": Fault("answers rightly after `slow_s` seconds", transport.answer_late),
    "drip": Fault("sends one byte a second", transport.drip),
    "reset": Fault("sends half, then a TCP reset", transport.reset_mid_body),
    "truncated": Fault("ends before the Content-Length it gave", transport.cut_with_length),
    "truncated_no_length": Fault("ends at half, without a length", transport.cut_without_length),
    "truncated_chunk": Fault("ends in the middle of a chunk", transport.cut_chunk),
    "close_after": Fault("answers rightly, then hangs up unasked", transport.answer_then_close),
    # Bodies that cannot be read, or must not be
    "html_200": Fault("200 with an HTML page", body.html),
    "empty_200": Fault("200 with no body", body.empty),
    "no_content_204": Fault("204", body.no_content),
    "text_plain": Fault("the right JSON as text/plain", body.text_plain),
    "utf16": Fault("the right JSON in UTF-16", body.utf16),
    "bom": Fault("the right JSON after a byte order mark", body.byte_order_mark),
    "unasked_br_encoding": Fault("the right JSON in Brotli, unasked", body.brotli),
    "double_gzip": Fault("the right JSON in gzip in gzip", body.double_gzip),
    "bomb_plain": Fault("the right answer after 10 MB of padding", body.plain_bomb),
    "bomb_gzip": Fault("the right answer after 300 MB, by gzip", body.gzip_bomb),
    "deep_json": Fault("the right answer and 100,000 brackets", body.deep_json),
    "doubled_key": Fault("the overall score twice, with two values", body.doubled_key),
    "nan": Fault("overall score NaN", body.with_overall_as("NaN")),
    "infinity": Fault("overall score Infinity", body.with_overall_as("Infinity")),
    "overflow": Fault("overall score 1e999", body.with_overall_as("1e999")),
    # Well-formed answers that say something wrong
    "out_of_range": Fault(
        "overall score under 0 or over 100", changed(wrong.score_set(OVERALL, *wrong.OUT_OF_RANGE))
    ),
    "string_score": Fault("overall score is text", changed(wrong.score_set(OVERALL, *wrong.TEXTS))),
    "bool_score": Fault("overall score is true", changed(wrong.score_set(OVERALL, True))),
    "container_score": Fault(
        "overall score is a list or object", changed(wrong.score_set(OVERALL, *wrong.CONTAINERS))
    ),
    "null_scores": Fault("every score is null", changed(wrong.scores_mapped(lambda _: None))),
    "missing_overall": Fault("no overall score", changed(wrong.score_removed(OVERALL))),
    "missing_pillar": Fault("no social score", changed(wrong.score_removed("social_score"))),
    "pillar_out_of_range": Fault(
        "environmental score 101", changed(wrong.score_set("environmental_score", 101))
    ),
    "missing_analysis": Fault("no esg_analysis", changed(wrong.field_removed("esg_analysis"))),
    "wrong_account": Fault("another account's id and scores", changed(wrong.another_accounts)),
    "missing_account": Fault("no portfolio_id", changed(wrong.field_removed("portfolio_id"))),
    "stale_date": Fault("analysis of 30 days before", changed(wrong.date_moved(-wrong.STALE_DAYS))),
    "yesterday_date": Fault("analysis of the day before", changed(wrong.date_moved(-1))),
    "tomorrow_date": Fault("analysis of the day after", changed(wrong.date_moved(1))),
    "missing_date": Fault("no analysis_date", changed(wrong.field_removed("analysis_date"))),
    "slash_date": Fault("the date as 11/24/2026", changed(wrong.date_with_slashes)),
    "status_error": Fault('200, status "error"', changed(wrong.field_set("status", "error"))),
    "status_partial": Fault('status "partial"', changed(wrong.field_set("status", "partial"))),
    "status_unknown": Fault('status "throttled"', changed(wrong.field_set("status", "throttled"))),
    "other_focus": Fault("another focus than asked", changed(wrong.another_focus)),
    "unknown_focus": Fault("a focus that does not exist", changed(wrong.unknown_focus)),
    # Plausible answers that only a look at all accounts finds out
    "scale_of_ten": Fault(
        "scores from 0 to 10", changed(wrong.scores_mapped(lambda score: round(score / 10, 4)))
    ),
    "direction_flipped": Fault(
        "low is good", changed(wrong.scores_mapped(lambda score: round(100 - score, 3)))
    ),
    "same_scores": Fault("50 for everybody", changed(wrong.scores_mapped(lambda _: 50))),
    "copied_scores": Fault("yesterday's scores, dated today", changed(wrong.copied_from_yesterday)),
    "jumped_scores": Fault("every score moved 20 points", changed(wrong.scores_mapped(wrong.jump))),
}
