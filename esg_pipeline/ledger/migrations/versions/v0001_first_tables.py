"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# As in tables.py at the time; steps keep their own copy, because tables.py moves on.
utc_time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "esg_leases",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("host", sa.Text),
        sa.Column("machine", sa.Text),
        sa.Column("pid", sa.BigInteger),
        sa.Column("process_started", sa.Text),
        sa.Column("acquired_at", sa.Float),
        sa.Column("heartbeat_at", sa.Float),
    )
    op.create_table(
        "esg_editions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("root_run_id", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("asked_by", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("held_because", sa.Text),
        sa.Column("opened_at", utc_time, nullable=False),
        sa.Column("deadline_at", utc_time),
        sa.Column("delivered_at", utc_time),
        sa.Column("accounts_count", sa.Integer),
        sa.Column("accounts_sha256", sa.Text),
        sa.Column("successful", sa.Integer),
        sa.Column("partial", sa.Integer),
        sa.Column("failed", sa.Integer),
        sa.Column("previous", sa.Integer),
        sa.Column("code_version", sa.Text, nullable=False),
        sa.Column("manifest", sa.Text),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.UniqueConstraint("day", "number"),
    )
    op.create_table(
        "esg_results",
        _edition_id(),
        sa.Column("account_id", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("overall", sa.SmallInteger),
        sa.Column("environmental", sa.SmallInteger),
        sa.Column("social", sa.SmallInteger),
        sa.Column("governance", sa.SmallInteger),
        sa.Column("focus", sa.Text),
        sa.Column("focus_score", sa.SmallInteger),
        sa.Column("analysis_day", sa.Integer),
        sa.Column("http_status", sa.SmallInteger),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("finished_at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("edition_id", "account_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "esg_attempts",
        _edition_id(),
        sa.Column("account_id", sa.LargeBinary, nullable=False),
        sa.Column("spent", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("settled_batch", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("edition_id", "account_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "esg_attempt_batches",
        _edition_id(),
        sa.Column("batch", sa.BigInteger, nullable=False),
        sa.Column("account_ids", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("edition_id", "batch"),
    )
    op.create_table(
        "esg_alerts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("condition", sa.Text, nullable=False),
        sa.Column("occurrence", sa.Integer, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("raised_at", utc_time, nullable=False),
        sa.Column("resolved_at", utc_time),
        sa.Column("resolved_details", sa.Text),
        sa.UniqueConstraint("day", "condition"),
    )
    op.create_table(
        "esg_alert_messages",
        sa.Column(
            "alert_id",
            sa.Integer,
            sa.ForeignKey("esg_alerts.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("occurrence", sa.Integer, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_try_at", utc_time, nullable=False),
        sa.Column("sent_at", utc_time),
        sa.Column("last_error", sa.Text),
        sa.PrimaryKeyConstraint("alert_id", "occurrence", "phase", "channel"),
    )
    op.create_table(
        "esg_audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("day", sa.Date),
        sa.Column("edition", sa.Integer),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    head = op.create_table(
        "esg_audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    op.create_table(
        "esg_legal_holds",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("placed_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("placed_at", utc_time, nullable=False),
    )
    op.create_table(
        "esg_probes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("written_at", utc_time, nullable=False),
    )


def _edition_id() -> sa.Column[int]:
    key = sa.ForeignKey("esg_editions.id", ondelete="CASCADE")
    return sa.Column("edition_id", sa.Integer, key, nullable=False)
