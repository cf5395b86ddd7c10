"""nginx as the API of the benchmarks, and what it saw."""

from benchmarks.server.nginx import ApiServer, Seen, start_api

__all__ = ["ApiServer", "Seen", "start_api"]
