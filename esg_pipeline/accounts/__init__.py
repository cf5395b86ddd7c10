"""Who is to be rated: the list of active accounts from the firm's account management system.

One file per kind of source, chosen by the scheme of `ESG_ACCOUNTS_URL`. A list comes back whole,
checked and sorted, or not at all: this room never invents, repairs or drops an account, never
falls back to an older list, and never writes to a source.
"""

from esg_pipeline.accounts.account_list import account_list_sha256, look_alike_ids
from esg_pipeline.accounts.errors import AccountListError, AccountSourceError
from esg_pipeline.accounts.source import AccountSource, open_account_source, read_with_patience

__all__ = [
    "AccountListError",
    "AccountSource",
    "AccountSourceError",
    "account_list_sha256",
    "look_alike_ids",
    "open_account_source",
    "read_with_patience",
]
