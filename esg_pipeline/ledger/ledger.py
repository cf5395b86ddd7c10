"""The one face of the ledger: its parts by name, opening, checking, closing.

What a part does is in the file of its subject; nothing else is done here.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from sqlalchemy import select

from esg_pipeline.ledger.audit import AuditTrail
from esg_pipeline.ledger.database import PATIENCE_S, Database, insert_into, now
from esg_pipeline.ledger.editions import Editions
from esg_pipeline.ledger.lease import Lease, Leases
from esg_pipeline.ledger.outbox import Outbox
from esg_pipeline.ledger.rate_share import SharedRateLimit
from esg_pipeline.ledger.results import Results
from esg_pipeline.ledger.retention import Retention
from esg_pipeline.ledger.tables import probes
from esg_pipeline.ledger.upgrade import upgrade


class Ledger:
    """What happened, kept. Safe for threads.

    Every method of every part may raise `LedgerUnavailable`, and can then be called again.

        ledger = Ledger.open("sqlite:////var/lib/esg/ledger.db")
        with ledger.leases.acquire(day, run_id=run_id) as lease:
            edition = ledger.editions.open(lease, run_id=run_id, …)
            writer = ledger.results.writer(lease, edition)

    Attributes:
        leases: Who works on which date.
        editions: Each delivery of a date's report, and what it is made of.
        results: The ratings and attempts of an edition.
        outbox: The alerts, and whom they have reached.
        audit: Who did what, only ever appended to.
        retention: What is purged, and what a legal hold keeps.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.leases = Leases(database)
        self.editions = Editions(database)
        self.results = Results(database)
        self.outbox = Outbox(database)
        self.audit = AuditTrail(database)
        self.retention = Retention(database)

    @classmethod
    def open(cls, url: str, *, patience_s: float = PATIENCE_S) -> Self:
        """Connect; make the tables, or bring them to the newest version.

        Args:
            url: `sqlite:///…` or `postgresql+psycopg://…`.
            patience_s: How long a statement or a lock may take in everyday operations.

        Raises:
            LedgerUnavailable: one line, without password; `retryable` says whether waiting helps.
        """
        database = Database(url, patience_s=patience_s)
        try:
            upgrade(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @property
    def place(self) -> str:
        """Where the ledger is, without user or password."""
        return self._database.place

    def shared_rate_limit(self, lease: Lease) -> SharedRateLimit:
        """The rate limit, shared with the runs of other dates."""
        return SharedRateLimit(self._database, lease)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything this thread writes inside is committed as one: an alert with its fact."""
        with self._database.write():
            yield

    def check(self) -> str:
        """Write a row and read it back; return one line about the ledger, for `doctor`."""
        started = time.perf_counter()
        version = upgrade(self._database)
        with self._database.write() as connection:
            written_at = now(connection)
            connection.execute(
                insert_into(connection, probes)
                .values(id=1, written_at=written_at)
                .on_conflict_do_update(index_elements=["id"], set_={"written_at": written_at})
            )
        with self._database.read() as connection:
            connection.execute(select(probes.c.written_at)).one()
        took_ms = (time.perf_counter() - started) * 1000
        return f"{self.place}: tables version {version}, written and read back in {took_ms:.0f} ms"

    def close(self) -> None:
        """Close all connections."""
        self._database.close()
