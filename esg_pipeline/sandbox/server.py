"""The simulated firm as a running server: accounts on disk, API and control on loopback.

Foreground only; to have it as a process of its own, use `start_sandbox`.
"""

import asyncio
import json
import os
import signal
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from aiohttp import web

from esg_pipeline.sandbox.accounts import create_accounts_database
from esg_pipeline.sandbox.api import GET_PATH, POST_PATH, TOKEN_PATH, EsgApi
from esg_pipeline.sandbox.behaviour import Behaviour
from esg_pipeline.sandbox.control import ELSEWHERE_PATH, Control
from esg_pipeline.sandbox.listener import LOOPBACK, Listener, bound_socket

ACCOUNTS_FILE = "accounts.db"
PARENT_CHECK_S = 0.25
SHUTDOWN_S = 0.1


@dataclass(frozen=True, slots=True)
class Announcement:
    """Where a sandbox that is ready can be reached, and with what.

    Attributes:
        api_url: The POST form, for ESG_API_URL.
        api_get_url: The GET form, with `{account_id}` in it.
        control_url: Root of the control endpoints.
        accounts_url: For ESG_ACCOUNTS_URL.
        token: For ESG_API_TOKEN.
        oauth_token_url, oauth_client_id, oauth_client_secret: For ESG_API_OAUTH_….
        pid: Process id of the server.
    """

    api_url: str
    api_get_url: str
    control_url: str
    accounts_url: str
    token: str = field(repr=False)
    oauth_token_url: str
    oauth_client_id: str
    oauth_client_secret: str = field(repr=False)
    pid: int

    def env(self) -> dict[str, str]:
        """Give the settings with which the pipeline finds this sandbox."""
        return {
            "ESG_ACCOUNTS_URL": self.accounts_url,
            "ESG_API_URL": self.api_url,
            "ESG_API_TOKEN": self.token,
        }

    def oauth_env(self) -> dict[str, str]:
        """Give the same settings with OAuth in place of the fixed token."""
        return {
            "ESG_ACCOUNTS_URL": self.accounts_url,
            "ESG_API_URL": self.api_url,
            "ESG_API_OAUTH_TOKEN_URL": self.oauth_token_url,
            "ESG_API_OAUTH_CLIENT_ID": self.oauth_client_id,
            "ESG_API_OAUTH_CLIENT_SECRET": self.oauth_client_secret,
        }


def print_line(announcement: Announcement) -> None:
    """Print the announcement as one line of JSON, for the parent process to wait for."""
    print(json.dumps(asdict(announcement)), flush=True)


def serve(
    folder: Path,
    *,
    accounts: int = 1000,
    retired: int = 50,
    seed: int = 7,
    behaviour: Behaviour | None = None,
    api_port: int = 0,
    control_port: int = 0,
    certificate: Path | None = None,
    private_key: Path | None = None,
    parent_pid: int | None = None,
    announce: Callable[[Announcement], None] = print_line,
) -> None:
    """Run the simulated firm until SIGTERM or SIGINT.

    Args:
        folder: Where `accounts.db` is made, anew.
        accounts: Number of active accounts.
        retired: Number of retired accounts.
        seed: Of the invented accounts.
        behaviour: How the API behaves at first; default: soundly.
        api_port: Port of the API; 0 takes a free one.
        control_port: Port of the control endpoints; 0 takes a free one.
        certificate: PEM chain; with `private_key`, the API speaks TLS.
        private_key: PEM key of the certificate.
        parent_pid: End as soon as this process is no longer the parent.
        announce: Called once, when everything is ready.

    Raises:
        OSError: a port is taken, or a file cannot be read or written.
    """
    database = folder.absolute() / ACCOUNTS_FILE
    create_accounts_database(database, active=accounts, retired=retired, seed=seed)
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate, private_key)

    async def run() -> None:
        ended = _end_signal()
        control_socket = bound_socket(control_port)
        control_url = f"http://{LOOPBACK}:{control_socket.getsockname()[1]}"
        api = EsgApi(elsewhere_url=control_url + ELSEWHERE_PATH)
        listener = Listener(api, api_port, tls)
        control = Control(api, listener)
        await control.change(behaviour or Behaviour())
        runner = web.AppRunner(control.application(), access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        await web.SockSite(runner, control_socket).start()
        announce(_announcement(api, listener.url, control_url, database))
        if parent_pid is None:
            await ended.wait()
        else:
            await _ended_or_orphaned(ended, parent_pid)
        listener.close()
        await runner.cleanup()

    asyncio.run(run())


def _end_signal() -> asyncio.Event:
    """Give the event that SIGTERM or SIGINT sets."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended


async def _ended_or_orphaned(ended: asyncio.Event, parent_pid: int) -> None:
    """Return when `ended` is set or the parent is gone."""
    while not ended.is_set() and os.getppid() == parent_pid:
        with suppress(TimeoutError):
            async with asyncio.timeout(PARENT_CHECK_S):
                await ended.wait()


def _announcement(api: EsgApi, api_origin: str, control_url: str, database: Path) -> Announcement:
    return Announcement(
        api_url=api_origin + POST_PATH,
        api_get_url=api_origin + GET_PATH,
        control_url=control_url,
        accounts_url=f"sqlite:///{database}",
        token=api.tokens.fixed,
        oauth_token_url=api_origin + TOKEN_PATH,
        oauth_client_id=api.tokens.client_id,
        oauth_client_secret=api.tokens.client_secret,
        pid=os.getpid(),
    )
