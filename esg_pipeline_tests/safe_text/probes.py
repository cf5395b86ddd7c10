"""Texts with a secret in them, and what must not be readable in any place that shows them.

One table for every outlet: log, alert, outbox, error of a command, failure of a step. A probe is
what a library, a server or a person's setting could say.
"""

import base64
import html
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from esg_pipeline.alerts.facts import MAX_LINE
from esg_pipeline.safe_text import register_secret
from esg_pipeline.settings import Settings

API_TOKEN = "canary-tok/en+5f0c~x"
ODD = "canary <p@ss>&'w/rd\" ünd"
HIDDEN = re.compile("canary|q7zk", re.IGNORECASE)
"""Every secret of the table has one of these words in it, so that one look finds any of them."""


@dataclass(frozen=True)
class Probe:
    """One text.

    Attributes:
        name: What is special about it.
        text: What an error says.
        hidden: What must be gone, beside every word of `HIDDEN`.
        settings: The settings that hold the secret; empty when nobody told us of it.
        fetched: A token that no setting holds and that was fetched.
    """

    name: str
    text: str
    hidden: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    fetched: str = ""

    def arm(self, **others: Any) -> Settings:
        """Let the process know what it would know."""
        if self.fetched:
            register_secret(self.fetched)
        return Settings(**{"_env_file": None, **others, **self.settings})

    def is_readable_in(self, shown: str) -> bool:
        """Whether a secret can still be read in what an outlet shows."""
        return bool(HIDDEN.search(shown)) or any(each in shown for each in self.hidden)


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _core(secret: str, before: str) -> str:
    """What base64 makes of the middle of a secret that stands behind so many characters."""
    encoded = base64.b64encode((before + secret).encode()).decode()
    return encoded[-(-len(before) * 8 // 6) : len((before + secret).encode()) * 8 // 6]


POSTGRES = "postgresql+psycopg://esg:{}@db.example/esg"
FIVE = [
    Probe(
        "the token of a setting", f"refused {API_TOKEN} again", settings={"api_token": API_TOKEN}
    ),
    Probe(
        "a short password of the ledger's URL",
        "password q7zk of esg refused",
        settings={"ledger_url": POSTGRES.format("q7zk")},
    ),
    Probe("a bearer token of somebody", "Authorization: Bearer canaryUnknown0123456789"),
    Probe(
        "a secret inside a plain setting",
        "the key canary-in-query is refused",
        settings={"api_url": "https://api.example/v1?api_key=canary-in-query"},
    ),
    Probe(
        "the last part of a webhook",
        "no answer from canaryTokenC",
        settings={"alert_urls": "slack://canaryTokenA/canaryTokenB/canaryTokenC/#esg"},
    ),
]
NEIGHBOURS = [
    Probe(
        "percent-encoded",
        f"GET /v1?t={quote(API_TOKEN, safe='')}",
        ("tok%2Fen",),
        {"api_token": API_TOKEN},
    ),
    Probe(
        "percent-encoded in small letters",
        f"GET /v1?t={quote(API_TOKEN, safe='').lower()}",
        ("tok%2fen",),
        {"api_token": API_TOKEN},
    ),
    Probe(
        "a password that the URL had to encode",
        "password canary@pa ss refused",
        settings={"accounts_url": POSTGRES.format("canary%40pa%20ss")},
    ),
    Probe(
        "the whole URL of a database",
        "cannot reach postgresql+psycopg://esg:canary%40pa%20ss@db.example/esg",
        settings={"accounts_url": POSTGRES.format("canary%40pa%20ss")},
    ),
    Probe(
        "in JSON",
        json.dumps({"error": f"no such token: {ODD}"}),
        (json.dumps(ODD)[8:-1],),
        {"api_oauth_client_secret": ODD},
    ),
    Probe(
        "in JSON inside JSON",
        json.dumps({"body": json.dumps({"access_token": "canaryInner"})}),
    ),
    Probe("in Python's repr", f"bad value {ODD!r}", settings={"pagerduty_routing_key": ODD}),
    Probe("in HTML", f"<p>{html.escape(ODD)}</p>", settings={"pagerduty_routing_key": ODD}),
    Probe("in a form", f"x=1&t={quote_plus(ODD)}&y=2", settings={"pagerduty_routing_key": ODD}),
    Probe("in SQL", "WHERE p = 'canary''s'", settings={"api_oauth_client_secret": "canary's"}),
    Probe(
        "in a Basic credential",
        f"sent {_basic('client', 'xcanary-secret')} to the server",
        (_core("xcanary-secret", "client:"),),
        {"api_oauth_client_secret": "xcanary-secret"},
    ),
    Probe(
        "in a Basic credential, one byte further",
        f"sent {_basic('client1', 'xcanary/q7zk+')} to the server",
        (_core("xcanary/q7zk+", "client1:"),),
        {"api_oauth_client_secret": "xcanary/q7zk+"},
    ),
    Probe(
        "in a Basic credential, two bytes further",
        f"sent {_basic('client12', quote_plus('xcanary/q7zk+'))} to the server",
        (_core(quote_plus("xcanary/q7zk+"), "client12:"),),
        {"api_oauth_client_secret": "xcanary/q7zk+"},
    ),
    Probe(
        "a Basic credential of somebody",
        f"Authorization: Basic {_basic('u', 'p7')}",
        (_basic("u", "p7"),),
    ),
    Probe(
        "overlapping secrets",
        "got canary1-q7zk2-canary3 here",
        settings={"api_token": "canary1-q7zk2", "pagerduty_routing_key": "q7zk2-canary3"},
    ),
    Probe("a value of a query", "302 to https://x.example/cb?state=1&sig=canarySig&x=2"),
    Probe("a connection string", "FATAL: host=db password='canary q7zk' user=esg"),
    Probe("a token that was fetched", "401 for canary.fetched", fetched="canary.fetched"),
    Probe("a fetched token in a query", "?t=canary%2Ffetched", fetched="canary/fetched"),
    Probe(
        "a webhook's token behind a path",
        "POST /hooks/canary%2Dq7zk/x: 404",
        settings={"alert_urls": "json://chat.example/hooks/canary%2Dq7zk"},
    ),
    Probe(
        "a webhook's password",
        "gotify q7zk: 401",
        settings={"alert_urls": "json://esg:q7zk@chat.example/"},
    ),
    Probe("a password with an @ of somebody", "amqp://user:canary@q7zk@host/ is away"),
    Probe("a password with a slash of somebody", "amqp://user:q7zk/canary@host/ is away"),
    Probe("a token in the place of a user", "https://canary0123456789canary@git.example/x"),
    Probe("a JSON Web Token", "bad eyJcanary0123.eyJcanary0123.canary_-sig"),
    Probe("a secret key of age", "not a file: AGE-SECRET-KEY-1CANARY0Q7ZK0CANARY"),
    Probe(
        "a private key in lines",
        "cannot load -----BEGIN PRIVATE KEY-----\nMIIcanary\nq7zk\n-----END PRIVATE KEY-----",
    ),
    Probe(
        "two words that a message joins",
        "refused canary q7zk",
        settings={"pagerduty_routing_key": "canary  \nq7zk"},
    ),
    Probe(
        "in the place where a line is cut",
        "y " * (MAX_LINE // 2 - 5) + "canary-" * 10,
        settings={"api_token": "canary-" * 10},
    ),
    Probe(
        "in the place where a text is cut",
        " " * (4 * MAX_LINE - 20) + "canary-" * 10,
        settings={"api_token": "canary-" * 10},
    ),
    Probe(
        "the password of the mail server",
        "535 canary p@ss:w/rd",
        settings={"smtp_url": "smtps://alerts:canary p%40ss:w%2Frd@mail.example:465"},
    ),
    Probe(
        "the password of the metrics gateway",
        "401 at https://push:canary-push@gateway.example:9091",
        settings={"pushgateway_url": "https://push:canary-push@gateway.example:9091"},
    ),
    Probe(
        "a password in the SQL of the accounts",
        "SELECT 1 with canary-dblink",
        settings={"accounts_query": "SELECT * FROM dblink('host=x password=canary-dblink', 'q')"},
    ),
]
PROBES = [*FIVE, *NEIGHBOURS]


def arm_all() -> str:
    """Let the process know all that the table's settings know; every text, one after the other."""
    for probe in PROBES:
        probe.arm()
    return "\n".join(probe.text for probe in PROBES)


def readable_in(shown: str) -> list[str]:
    """The names of the probes whose secret can still be read."""
    return [probe.name for probe in PROBES if probe.is_readable_in(shown)]


def chain_of(text: str) -> Exception:
    """An error that says nothing, behind which two others and a note say everything."""
    failed = RuntimeError("the step failed")
    failed.add_note(text)
    failed.__cause__ = ConnectionError(text)
    failed.__cause__.__context__ = KeyError(text)
    return failed
