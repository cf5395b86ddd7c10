"""How a message is laid out: words and facts as subject, plain text, HTML and PagerDuty details.

What is wrong, since when, how bad, what the system does by itself, what a person can do, and the
run; the words are in `wording`. It only writes: no network, no ledger. Every text that is not our
own is made neutral before it gets here (`facts`), and is escaped by the template.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from esg_pipeline.alerts.conditions import RULES, Audience, Condition, Severity
from esg_pipeline.alerts.facts import AlertFacts, one_line
from esg_pipeline.alerts.wording import WORDING, Wording
from esg_pipeline.clock import CENTRAL
from esg_pipeline.safe_text import mask

Phase = Literal["raised", "resolved"]
SHOWN_REASONS = 5
PRODUCT = "esg_pipeline"

_PAGE = Environment(
    loader=PackageLoader("esg_pipeline.alerts"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
).get_template("message.html.j2")


@dataclass(frozen=True, slots=True)
class Message:
    """One message, ready for any channel.

    Attributes:
        condition: A key of `RULES`.
        key: The same for all messages of one incident; PagerDuty's dedup key.
        identity: The same whenever this very message is sent again; for the mail's Message-ID.
        facts: Label and text of how bad it is, in order.
        link: The run in Dagster's UI, if its address is set.
    """

    condition: str
    phase: Phase
    key: str
    identity: str
    severity: Severity
    audiences: frozenset[Audience]
    subject: str
    text: str
    html: str
    facts: tuple[tuple[str, str], ...]
    link: str | None

    @property
    def thread(self) -> str:
        """The same for all messages of one date; mail programs show them together."""
        return self.key.rpartition(":")[0]


def compose(
    day: date,
    condition: str,
    facts: AlertFacts,
    *,
    phase: Phase = "raised",
    occurrence: int = 1,
    dagster_url: str | None = None,
) -> Message:
    """Write the message of one alert.

    Args:
        condition: A key of `RULES`.
        phase: Whether the condition came up or was cured.
        occurrence: 2 when it came back after it was cured, and so on.
        dagster_url: Address of Dagster's UI, for the link.
    """
    wording = WORDING[condition]
    lines = tuple(_how_bad(condition, facts))
    link = _run_link(dagster_url, facts.run_id)
    headline = _headline(wording, phase, lines)
    sections = _sections(day, wording, phase, facts, lines, link)
    commands = [] if phase == "resolved" else [each.format(day=day) for each in wording.commands]
    return Message(
        condition=condition,
        phase=phase,
        key=f"{PRODUCT}:{day}:{condition}",
        identity=f"{PRODUCT}.{day}.{condition}.{phase}.{occurrence}",
        severity=RULES[condition].severity,
        audiences=_audiences(condition, facts),
        subject=one_line(f"[{PRODUCT}] {day} {condition}: {headline}"),
        text=_plain(headline, sections, commands),
        html=_PAGE.render(headline=headline, sections=sections, commands=commands, link=link),
        facts=lines,
        link=link,
    )


def _audiences(condition: str, facts: AlertFacts) -> frozenset[Audience]:
    audiences = RULES[condition].audiences
    # A report that is there but incomplete concerns those who read it; a run that is late does not.
    if condition == Condition.DEADLINE_EXCEEDED and not facts.is_delivered:
        return audiences - {Audience.BUSINESS}
    return audiences


def _headline(wording: Wording, phase: Phase, lines: Sequence[tuple[str, str]]) -> str:
    if phase == "resolved":
        return f"Resolved: {wording.title}"
    if not lines:
        return wording.title
    label, text = lines[0]
    return f"{wording.title}; {label.lower()}: {text}"


def _sections(
    day: date,
    wording: Wording,
    phase: Phase,
    facts: AlertFacts,
    lines: Sequence[tuple[str, str]],
    link: str | None,
) -> list[tuple[str, str]]:
    since = "At" if phase == "resolved" else "Since"
    sections = [
        ("What", f"A later run of this date ended it. It was: {wording.meaning}")
        if phase == "resolved"
        else ("What", wording.meaning),
        ("Date", f"{day}"),
        (since, both_times(facts.since)),
        *lines,
    ]
    if phase == "raised":
        sections += [("By itself", wording.by_itself), ("You can", wording.advice)]
    run = link or facts.run_id
    return [*sections, ("Run", run)] if run else sections


def _how_bad(condition: str, facts: AlertFacts) -> Iterable[tuple[str, str]]:
    if facts.cured:
        yield "Cured", ", ".join(WORDING[each].title for each in facts.cured)
    if facts.failed is not None:
        yield "Failed", _failed(facts.failed, facts)
    if facts.mismatches is not None:
        yield "Wrong account", f"{facts.mismatches:,} answers"
    if facts.previous_accounts is not None:
        yield "Account list", _list_change(facts)
    yield from _times(facts)
    yield from _counts(facts)
    if condition == Condition.DEADLINE_EXCEEDED:
        yield "Report", "delivered, incomplete" if facts.is_delivered else "not delivered"
    if facts.edition is not None:
        yield "Edition", f"{facts.edition}"
    if facts.cause:
        yield "Cause", facts.cause


def _times(facts: AlertFacts) -> Iterable[tuple[str, str]]:
    if facts.estimated_finish is not None:
        yield "Estimated finish", _estimate(facts.estimated_finish, facts.deadline)
    if facts.deadline is not None:
        yield "Deadline", both_times(facts.deadline)


def _counts(facts: AlertFacts) -> Iterable[tuple[str, str]]:
    if facts.answered is not None:
        yield "Answered", f"{_of_all(facts.answered, facts)} accounts"
    if facts.successful is not None:
        yield "Successful", f"{facts.successful:,}"
    if facts.partial is not None:
        yield "Partial", f"{facts.partial:,}"
    if facts.reasons:
        yield "Reasons", _top_reasons(facts)


def _of_all(count: int, facts: AlertFacts) -> str:
    return f"{count:,}" if facts.accounts is None else f"{count:,} of {facts.accounts:,}"


def _list_change(facts: AlertFacts) -> str:
    day = f" on {facts.previous_day}" if facts.previous_day else ""
    now = "unknown" if facts.accounts is None else f"{facts.accounts:,}"
    return f"{now} accounts, {facts.previous_accounts:,}{day}"


def _estimate(finish: datetime, deadline: datetime | None) -> str:
    late_min = 0 if deadline is None else round((finish - deadline).total_seconds() / 60)
    return both_times(finish) + (f", {late_min:,} min late" if late_min > 0 else "")


def _failed(failed: int, facts: AlertFacts) -> str:
    text = f"{_of_all(failed, facts)} accounts"
    if not facts.accounts:
        return text
    limit = "" if facts.threshold is None else f"; alert above {percent(facts.threshold)}"
    return f"{text} ({percent(failed / facts.accounts)}{limit})"


def percent(share: float) -> str:
    """A share with as many decimals, up to four, as tell it from its neighbours: 5.001 %."""
    return f"{100 * share:.4f}".rstrip("0").rstrip(".") + " %"


def _top_reasons(facts: AlertFacts) -> str:
    ranked = sorted(facts.reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{reason} {count:,}" for reason, count in ranked[:SHOWN_REASONS]]
    others = sum(count for _, count in ranked[SHOWN_REASONS:])
    return ", ".join([*shown, f"others {others:,}"] if others else shown)


def both_times(at: datetime) -> str:
    """A time for people in Chicago and for logs: 2026-11-24 05:15 Central (11:15 UTC)."""
    return f"{at.astimezone(CENTRAL):%Y-%m-%d %H:%M} Central ({at.astimezone(UTC):%H:%M} UTC)"


def _run_link(dagster_url: str | None, run_id: str | None) -> str | None:
    if dagster_url is None or run_id is None:
        return None
    return f"{mask(dagster_url).rstrip('/')}/runs/{quote(run_id, safe='')}"


def _plain(headline: str, sections: list[tuple[str, str]], commands: list[str]) -> str:
    width = max(len(label) for label, _ in sections) + 1
    lines = [headline, "", *(f"{label + ':':<{width}} {text}" for label, text in sections)]
    if commands:
        lines += ["", *(f"    {command}" for command in commands)]
    return "\n".join(lines) + "\n"
