"""Runs of several dates share the rate limit: each writes down its part of it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("esg_leases", sa.Column("calls_per_s", sa.Float))
