"""The API's port: open, or closed as if nobody were there, and the same one afterwards."""

import asyncio
import socket
import ssl

from esg_pipeline.sandbox.api import EsgApi

LOOPBACK = "127.0.0.1"
BACKLOG = 4096


class Listener:
    """Listens for the API on one loopback port.

    Args:
        api: What answers.
        port: 0 takes a free one.
        tls: Speak TLS with this context.
    """

    def __init__(self, api: EsgApi, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._api = api
        self._tls = tls
        self._server: asyncio.Server | None = None
        # Bound and never listening: keeps the port ours while it is closed.
        self._reservation = bound_socket(port)
        self.port: int = self._reservation.getsockname()[1]

    @property
    def url(self) -> str:
        """The API's origin."""
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self.port}"

    async def open(self) -> None:
        """Listen, if it does not already."""
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(
                self._api, sock=bound_socket(self.port), ssl=self._tls, backlog=BACKLOG
            )

    def close(self) -> None:
        """Refuse connections and cut the open ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._api.hang_up()


def bound_socket(port: int) -> socket.socket:
    """Give a loopback TCP socket that has the port (0: a free one) and does not listen yet.

    Raises:
        OSError: the port is taken.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((LOOPBACK, port))
    return bound
