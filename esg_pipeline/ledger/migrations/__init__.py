"""How the ledger's tables came to be: Alembic's environment, run by `schema.upgrade` only."""
