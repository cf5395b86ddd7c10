"""PagerDuty's Events API v2 over https on 127.0.0.1: takes events, and keeps incidents as it does.

A trigger with the dedup key of an open incident opens no second one; `resolve` ends it.
"""

from collections import Counter
from typing import Any

import trustme

from esg_pipeline_tests.servers.smtp import server_context
from esg_pipeline_tests.servers.webhook import ReceivedRequest, WebhookServer

ROUTING_KEY = "routing-key-canary-0123456789abcd"


class PagerDutyServer(WebhookServer):
    """The endpoint, and the incidents that its events made.

    Attributes:
        opened: How many incidents were opened, by dedup key.
        open_now: Dedup keys of open incidents.
        events: Action and dedup key of each accepted event.
    """

    def __init__(self, authority: trustme.CA) -> None:
        super().__init__(server_context(authority, "127.0.0.1"), status=202)
        self.opened: Counter[str] = Counter()
        self.open_now: set[str] = set()
        self.events: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def answer_to(self, request: ReceivedRequest) -> Any:
        assert request.path == "/v2/enqueue"
        event = request.body
        assert event["routing_key"] == ROUTING_KEY
        action, key = event["event_action"], event["dedup_key"]
        self.events.append((action, key))
        if action == "trigger":
            assert {"summary", "source", "severity"} <= event["payload"].keys()
            if key not in self.open_now:
                self.opened[key] += 1
            self.open_now.add(key)
        elif action == "resolve":
            self.open_now.discard(key)
        return {"status": "success", "message": "Event processed", "dedup_key": key}
