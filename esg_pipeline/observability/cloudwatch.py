"""Log records to Amazon CloudWatch Logs, by the watchtower package, which is optional.

The log group must exist: its retention and its key belong to whoever runs the account.
"""

import logging
from datetime import date
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from esg_pipeline.settings import SettingsError

if TYPE_CHECKING:
    import watchtower

SETTING = "ESG_LOG_CLOUDWATCH_GROUP"
SEND_EVERY_S = 5
BACKLOG_RECORDS = 10_000


class BacklogFull(Exception):
    """watchtower has not got rid of what it was given; its own queue has no bound."""


class CloudWatch:
    """One stream of a log group, for one run.

    Raises:
        SettingsError: watchtower is not installed, or AWS is not set up (no region).
    """

    def __init__(self, group: str, *, day: date, run_id: str) -> None:
        handler = _open_handler(group, f"{day}/{run_id}")
        self._handler: logging.Handler = handler
        self._backlogs = handler.queues

    def write(self, record: logging.LogRecord) -> None:
        if sum(backlog.qsize() for backlog in self._backlogs.values()) >= BACKLOG_RECORDS:
            raise BacklogFull
        self._handler.emit(record)

    def close(self) -> None:
        self._handler.close()


def _open_handler(group: str, stream: str) -> "watchtower.CloudWatchLogHandler":
    try:
        import watchtower  # noqa: PLC0415 - only who logs to CloudWatch needs it
    except ImportError:
        raise SettingsError(
            [f"{SETTING}: needs the package watchtower; pip install 'esg-pipeline[cloudwatch]'"]
        ) from None
    try:
        client = boto3.session.Session().client(
            "logs",
            config=Config(
                connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": 8}
            ),
        )
    except BotoCoreError as error:
        raise SettingsError([f"{SETTING}: AWS is not set up: {error}"]) from None
    return watchtower.CloudWatchLogHandler(
        log_group_name=group,
        log_stream_name=stream,
        send_interval=SEND_EVERY_S,
        boto3_client=client,
        create_log_group=False,
    )
