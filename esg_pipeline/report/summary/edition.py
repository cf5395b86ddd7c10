"""The facts of an edition that the figures cannot know: who asked, when it ran, its proof.

Plain values that the caller fills in; nothing is worked out here but times from times.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class EditionFacts:
    """One edition of the day's report.

    Attributes:
        number: 1 is the first; a rerun makes the next.
        previous: The number of the edition that this one replaces, if any.
        mode: "full", "failed_only" or "accounts".
        label: "scheduled", "late" or "manual".
        asked_by: Who asked for it; None when the schedule did.
        reason: Why, in the words of who asked.
        changed_cells: Cells that differ from the previous edition; None when there is none.
        run_id: Dagster's run.
        code_version: Version of this package.
        started_at: Aware, like all times here.
        finished_at: When the report was delivered or, if the summary is delivered with it, made.
        calls: Calls to the ESG service in this run, throttled ones included.
        report_name, errors_name: File names of the report and of its error log.
        report_sha256: Of the report's plain (decrypted) bytes, hex.
        key_fingerprint: Of the public key that checks the manifest's signature.
    """

    number: int
    previous: int | None
    mode: str
    label: str
    asked_by: str | None
    reason: str | None
    changed_cells: int | None
    run_id: str
    code_version: str
    started_at: datetime
    finished_at: datetime
    deadline_at: datetime
    calls: int
    report_name: str
    errors_name: str
    report_sha256: str
    key_fingerprint: str

    @property
    def duration(self) -> timedelta:
        """From start to finish; an edition that was resumed counts from its first start."""
        return self.finished_at - self.started_at

    @property
    def time_left(self) -> timedelta:
        """What was left to the deadline; negative when it was passed."""
        return self.deadline_at - self.finished_at

    @property
    def is_late(self) -> bool:
        """Finished after the deadline."""
        return self.finished_at > self.deadline_at
