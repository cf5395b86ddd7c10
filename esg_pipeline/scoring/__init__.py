"""Stage 2, ask the API: every active account once, at the limit, never over it.

What others may use is listed here; all else is the engine's own.
"""

from esg_pipeline.scoring.api.reach import check_api
from esg_pipeline.scoring.checkpoint import Checkpoint
from esg_pipeline.scoring.errors import ApiUnauthorized, ApiUntrusted, ScoringStopped
from esg_pipeline.scoring.outcome import Ended, Progress, ScoringOutcome
from esg_pipeline.scoring.runner import score_accounts

__all__ = [
    "ApiUnauthorized",
    "ApiUntrusted",
    "Checkpoint",
    "Ended",
    "Progress",
    "ScoringOutcome",
    "ScoringStopped",
    "check_api",
    "score_accounts",
]
