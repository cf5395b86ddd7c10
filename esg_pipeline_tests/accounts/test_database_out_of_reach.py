"""A PostgreSQL that does not answer: no server there, or one that says nothing."""

import socket
from collections.abc import Iterator

import pytest

from esg_pipeline.accounts import AccountSourceError
from esg_pipeline.accounts.sql import SqlAccounts

pytestmark = pytest.mark.servers


pytestmark = pytest.mark.servers


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def refusal_of(source: SqlAccounts) -> str:
    with pytest.raises(AccountSourceError) as refused:
        source.read_active_accounts()
    assert refused.value.retryable
    return str(refused.value)


def test_a_database_that_is_down_may_be_read_later(closed_port: int) -> None:
    assert refusal_of(SqlAccounts(f"postgresql+psycopg://u:p4@127.0.0.1:{closed_port}/firm")) == (
        f"postgresql database 127.0.0.1:{closed_port}/firm: connection failed: connection to "
        f'server at "127.0.0.1", port {closed_port} failed: Connection refused; see whether it is '
        "up"
    )


def test_the_password_is_masked_even_where_the_database_itself_says_it(closed_port: int) -> None:
    words = refusal_of(SqlAccounts(f"postgresql+psycopg://u:refused@127.0.0.1:{closed_port}/firm"))
    assert "failed: Connection ***; see whether it is up" in words


def test_what_the_url_leaves_out_is_not_told(closed_port: int) -> None:
    words = refusal_of(SqlAccounts(f"postgresql+psycopg://127.0.0.1:{closed_port}"))
    assert words.startswith(f"postgresql database 127.0.0.1:{closed_port}/: connection failed: ")
    words = refusal_of(SqlAccounts("postgresql+psycopg:///firm?host=/nowhere"))
    assert words.startswith("postgresql database /firm: connection is bad: ")


def test_a_server_that_says_nothing_hangs_neither_the_run_nor_the_check(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("esg_pipeline.accounts.sql.CHECK_LIMIT_S", 0.1)
    url = f"postgresql+psycopg://u@127.0.0.1:{silent_port}/firm"
    source = SqlAccounts(url, connect_timeout_s=2, read_limit_s=0.1)
    for ask in (source.read_active_accounts, source.check):
        with pytest.raises(AccountSourceError) as refused:
            ask()
        assert refused.value.retryable
        assert str(refused.value) == (
            f"postgresql database 127.0.0.1:{silent_port}/firm: no whole answer within 0.1 s; see "
            "whether the source hangs"
        )


def test_a_connection_is_given_up_after_its_own_limit(silent_port: int) -> None:
    url = f"postgresql+psycopg://u@127.0.0.1:{silent_port}/firm"
    assert refusal_of(SqlAccounts(url, connect_timeout_s=2)) == (
        f"postgresql database 127.0.0.1:{silent_port}/firm: connection timeout expired; see "
        "whether it is up"
    )
