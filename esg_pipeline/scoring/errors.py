"""What stops a whole run, for the reader who must act. No message holds a token or a body.

ScoringStopped
├── ApiUnauthorized   the API refuses our credentials, for every account
└── ApiUntrusted      the server's TLS certificate or protocol cannot be trusted
"""


class ScoringStopped(Exception):
    """The run cannot go on; what was answered is in the ledger, the rest can be asked again."""


class ApiUnauthorized(ScoringStopped):
    """Every call is refused with 401, or the token endpoint refuses the client."""


class ApiUntrusted(ScoringStopped):
    """Nothing was sent to the server, because it did not prove who it is."""
