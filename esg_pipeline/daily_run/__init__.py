"""The steps of one day's run, each joining stages: claim, freeze the list, score, deliver.

This is where the stages meet; the Dagster assets and the command line both call it. No rule of a
single stage belongs here, and nothing of Dagster.
"""

from esg_pipeline.daily_run.claim import (
    MATERIALIZE_ALL,
    Claim,
    RunOrder,
    check_can_ask_again,
    claim_day,
)
from esg_pipeline.daily_run.deliver import Delivered, deliver_edition, rebuild_files
from esg_pipeline.daily_run.errors import (
    AccountListHeld,
    AlreadyDelivered,
    DeadlineExceeded,
    NotBegun,
    NothingToAskAgain,
    NothingToRebuild,
)
from esg_pipeline.daily_run.frozen_list import FrozenAccounts, freeze_accounts
from esg_pipeline.daily_run.score import note_out_of_memory, score_edition
from esg_pipeline.daily_run.summarise import history, history_files

__all__ = [
    "MATERIALIZE_ALL",
    "AccountListHeld",
    "AlreadyDelivered",
    "Claim",
    "DeadlineExceeded",
    "Delivered",
    "FrozenAccounts",
    "NotBegun",
    "NothingToAskAgain",
    "NothingToRebuild",
    "RunOrder",
    "check_can_ask_again",
    "claim_day",
    "deliver_edition",
    "freeze_accounts",
    "history",
    "history_files",
    "note_out_of_memory",
    "rebuild_files",
    "score_edition",
]
