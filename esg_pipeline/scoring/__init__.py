"""Stage 2, ask the API: every active account once, at the limit, never over it.

What others may use is listed here; all else is the engine's own.
"""

from esg_pipeline.scoring.api.reachable import check_api
from esg_pipeline.scoring.checkpoint import Checkpoint
from esg_pipeline.scoring.engine_thread import score_accounts
from esg_pipeline.scoring.errors import ApiUnauthorized, ApiUntrusted, ScoringStopped
from esg_pipeline.scoring.tally import Ended, Progress, ScoringOutcome

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
