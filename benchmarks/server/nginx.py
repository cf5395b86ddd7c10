"""Starts nginx as the API, on loopback, and reads from its log what it was asked.

Scores are made of the digits of the account id, so that they differ from call to call as real ones
do. Nothing is measured here but what the server itself wrote down.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = Path(__file__).with_name("nginx.conf")
ECHO_MODULE = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")
ANSWER = (
    '\'{"status": "success", "portfolio_id": "$1", "analysis_date": "$arg_analysis_date", '
    '"esg_analysis": {"overall_esg_score": 7$8.$7$6, "environmental_score": 6$7.$8$5, '
    '"social_score": 5$6.$8$7, "governance_score": 4$5.$7$8, '
    '"primary_esg_focus": "environmental", "primary_focus_score": 6$7.$8$5}}\''
)
SERVERS = ("http", "https", "delayed", "limited500", "limited2000")
START_S = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Calls to a limited server, as its log has them.

    Attributes:
        accepted: Calls that were answered.
        refused: Calls that were answered with 429.
        seconds: From the first accepted call to the last.
    """

    accepted: int
    refused: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A running nginx.

    Attributes:
        certificate: Of the HTTPS server, signed by itself.
        ports: By the names in `SERVERS`.
    """

    folder: Path
    certificate: Path
    ports: dict[str, int]

    def url(self, server: str) -> str:
        """The endpoint, with a place for the account id, as `ESG_API_URL` takes it."""
        scheme = "https" if server == "https" else "http"
        return f"{scheme}://127.0.0.1:{self.ports[server]}/portfolios/{{account_id}}/esg"

    def forget_calls(self, server: str) -> None:
        """Empty the log of a limited server."""
        (self.folder / f"{server}.log").write_text("")

    def seen(self, server: str) -> Seen:
        """What a limited server was asked since `forget_calls`."""
        lines = (self.folder / f"{server}.log").read_text().split("\n")[:-1]
        calls = [(status, float(at)) for status, at in (line.split() for line in lines)]
        times = [at for status, at in calls if status == "200"]
        return Seen(
            accepted=len(times),
            refused=sum(status == "429" for status, _ in calls),
            seconds=max(times) - min(times),
        )


@contextmanager
def start_api(folder: Path) -> Iterator[ApiServer]:
    """Run nginx until the end of the `with`.

    Raises:
        RuntimeError: nginx or its echo module is not installed, or does not start.
    """
    if shutil.which("nginx") is None or not ECHO_MODULE.exists():
        raise RuntimeError("nginx is missing: apt-get install nginx-light libnginx-mod-http-echo")
    ports = dict(zip(SERVERS, _free_ports(len(SERVERS)), strict=True))
    certificate = _make_certificate(folder)
    places = {"folder": folder, "module": ECHO_MODULE, "answer": ANSWER, **ports}
    text = CONFIGURATION.read_text()
    for place, value in places.items():
        text = text.replace(f"@{place}@", str(value))
    configuration = folder / "nginx.conf"
    configuration.write_text(text)
    process = subprocess.Popen(["nginx", "-p", folder, "-c", configuration, "-e", "stderr"])
    try:
        _wait_until_open(process, ports["http"])
        yield ApiServer(folder, certificate, ports)
    finally:
        process.terminate()
        process.wait(10)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _make_certificate(folder: Path) -> Path:
    certificate = folder / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    command += " -subj /CN=benchmark -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*command.split(), "-keyout", folder / "key.pem", "-out", certificate],
        check=True,
        capture_output=True,
    )
    return certificate


def _wait_until_open(process: subprocess.Popen[bytes], port: int) -> None:
    give_up_at = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < give_up_at:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nginx did not start (exit code {process.poll()})")
