"""Where the pipeline's log records go, and what is in each: one JSON object a line.

Only the logger `esg_pipeline` and those below it are touched, never the root logger or Dagster's.
No sink can delay or stop the job, and no secret or account name may be in a record.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from pythonjsonlogger.json import JsonFormatter

from esg_pipeline.observability.safe_records import SafeRecords
from esg_pipeline.observability.sinks import DailyFile, Sink, StandardOutput, close_all
from esg_pipeline.observability.syslog import TlsSyslog
from esg_pipeline.settings import Settings

LOGGER = logging.getLogger("esg_pipeline")
log = logging.getLogger("esg_pipeline.observability")

CLOSE_WAIT_S = 2.0
"""How long the end of a run waits for its log to be written, for each of two rounds."""


@contextmanager
def log_to(
    settings: Settings,
    *,
    run_id: str,
    day: date,
    step: str | None = None,
    shard: int | None = None,
) -> Iterator[None]:
    """Write the pipeline's log records, as JSON, for as long as the block runs.

    They go to `logs/esg_pipeline_YYYYMMDD.jsonl` (the business date) in the Dagster home, to
    standard output as `ESG_LOG_STDOUT` says, to syslog over TLS and to CloudWatch if set. Each
    has time (UTC), level, logger, message, run_id, date, step, shard and the record's own extra
    fields. Inside another `log_to` of this process only those of the run and step change.

    Raises:
        SettingsError: CloudWatch is asked for, but cannot be used.
    """
    fields = {"run_id": run_id, "date": day.isoformat(), "step": step, "shard": shard}
    outer = _current()
    if outer is not None:
        with outer.fields_set_to(fields):
            yield
        return
    sinks = _open_sinks(settings, run_id, day)
    fan_out = _FanOut(sinks, fields)
    level, propagate = LOGGER.level, LOGGER.propagate
    LOGGER.setLevel(settings.log_level)
    # Handlers of others, further up, would write records that nobody has masked.
    LOGGER.propagate = False
    LOGGER.addHandler(fan_out)
    try:
        yield
    finally:
        _close(sinks)
        LOGGER.removeHandler(fan_out)
        LOGGER.setLevel(level)
        LOGGER.propagate = propagate


class _FanOut(logging.Handler):
    """Makes each record safe, formats it once, and hands the line to every sink's queue."""

    def __init__(self, sinks: list[Sink], fields: dict[str, str | int | None]) -> None:
        super().__init__()
        self._sinks = sinks
        # "time" is named here only to come first; the value is the timestamp's.
        self._json = JsonFormatter(
            ["time", "levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger"},
            static_fields=fields,
            timestamp="time",
        )
        self.addFilter(SafeRecords())

    @contextmanager
    def fields_set_to(self, fields: dict[str, str | int | None]) -> Iterator[None]:
        """Use these fields of run and step for records of the block."""
        before = self._json.static_fields
        self._json.static_fields = fields
        try:
            yield
        finally:
            self._json.static_fields = before

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._json.format(record)
        except Exception:  # the standard way would print the record, unmasked
            for sink in self._sinks:
                sink.dropped += 1
            return
        finished = logging.makeLogRecord(
            {
                "name": record.name,
                "levelno": record.levelno,
                "levelname": record.levelname,
                "created": record.created,
                "msg": line,
            }
        )
        for sink in self._sinks:
            sink.put(finished)


def _current() -> _FanOut | None:
    return next((each for each in LOGGER.handlers if isinstance(each, _FanOut)), None)


def _open_sinks(settings: Settings, run_id: str, day: date) -> list[Sink]:
    """The sinks of the settings, the file first."""
    cloudwatch = None
    if settings.log_cloudwatch_group is not None:
        # Here, because boto3 takes half a second to import.
        from esg_pipeline.observability.cloudwatch import CloudWatch  # noqa: PLC0415

        cloudwatch = CloudWatch(settings.log_cloudwatch_group, day=day, run_id=run_id)
    folder = settings.home.absolute() / "logs"
    sinks = [Sink("file", DailyFile(folder, day, settings.log_retention_days))]
    to_stdout = settings.log_stdout
    if to_stdout if to_stdout is not None else not os.isatty(1):
        sinks.append(Sink("standard output", StandardOutput()))
    if settings.log_syslog_url is not None:
        syslog = TlsSyslog(settings.log_syslog_url, settings.log_syslog_ca_file)
        sinks.append(Sink("syslog", syslog))
    if cloudwatch is not None:
        sinks.append(Sink("CloudWatch", cloudwatch))
    return sinks


def _close(sinks: list[Sink]) -> None:
    """Close the file last, so that it can tell what the others lost."""
    file, *others = sinks
    close_all(others, CLOSE_WAIT_S)
    for sink in others:
        if lost := sink.untold_drops:
            log.warning("log sink %s: %d records dropped", sink.name, lost)
    close_all([file], CLOSE_WAIT_S)
    if lost := file.untold_drops:
        print(f"esg_pipeline: {lost} log records could not be written to the file", file=sys.stderr)
