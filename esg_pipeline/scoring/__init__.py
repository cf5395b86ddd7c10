"""Stage 2, ask the API: every active account once, at the limit, never over it.

What others may use is listed here; all else is the engine's own. Who owns which state:

| file | owns | decides |
|---|---|---|
| `work_list` | accounts: attempts spent, who waits, who is rated, the quarantine | who is next |
| `write_ahead` | accounts whose attempt is written down, idle callers | how much is begun ahead |
| `pace` | times of the last calls, rate, limit, pause | when a call may start |
| `rate_share` | until when this run's share of the limit holds | how much of the limit is ours |
| `verdicts` | what the last calls brought | whether it is one account or everybody |
| `after_a_call` | attempts that refusals have cost | what a call's outcome means for its account |
| `attempts` | ratings set aside | nothing: work list and checkpoint are always told together |
| `probes` | nothing | which probe is made while the API is down |
| `checkpoint` | outcomes on their way to the ledger | when they are durable |
| `end_of_calls` | whether, why and since when the calls are over | which reason counts |
| `tally`, `standing` | numbers, the estimate | nothing: they are looked at |
| `engine` | the tasks | whether calls may be made now; when the run is over |

A call goes: `work_list` draws an account, `attempts` writes the attempt ahead, `calls` waits for
its turn in `pace` and asks the API (`api/`), `after_a_call` has `verdicts` judge the outcome and
ends the attempt. Clocks (`run_time`), chance, the API and the checkpoint are arguments of the
engine, so that a simulation can drive it without a socket or a thread; `engine_thread` gives it the
real ones.
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
