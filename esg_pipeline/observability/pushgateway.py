"""One push to a Prometheus Pushgateway: bounded in time, no redirect followed, nothing logged.

What is pushed and when is decided elsewhere.
"""

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import requests
from prometheus_client import CollectorRegistry, pushadd_to_gateway
from pydantic import SecretStr

TIMEOUT_S = 3.0


def push(gateway: SecretStr, job: str, registry: CollectorRegistry) -> None:
    """Push to the group of a job, replacing only the metrics that are in the registry (POST).

    Args:
        gateway: `http(s)://[user:password@]host:port`.
        job: The group's one label.
        registry: What to push.

    Raises:
        OSError: it was not taken.
    """
    parts = urlsplit(gateway.get_secret_value())
    credentials, _, host = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    auth = (unquote(user), unquote(password)) if credentials else None

    def request(
        url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        def send() -> None:
            response = requests.request(
                method,
                url,
                data=data,
                headers=dict(headers),
                auth=auth,
                timeout=timeout,
                allow_redirects=False,
            )
            if response.status_code not in (200, 202):
                raise requests.HTTPError(f"HTTP {response.status_code}")

        return send

    url = parts._replace(netloc=host).geturl()
    pushadd_to_gateway(url, job, registry, timeout=TIMEOUT_S, handler=request)
