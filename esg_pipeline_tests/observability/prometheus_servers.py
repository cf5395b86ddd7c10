"""Debian's Pushgateway, Prometheus and Alertmanager, each on a port of its own on 127.0.0.1."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _run(command: list[str], log: Path, ready_url: str) -> Iterator[None]:
    """Run a server until the block ends; the block begins when it is ready."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent)
    try:
        give_up_at = time.monotonic() + 30
        while True:
            try:
                if requests.get(ready_url, timeout=5).status_code == 200:
                    break
            except requests.ConnectionError:
                pass
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


class Pushgateway:
    """A running Pushgateway.

    Attributes:
        url: Base URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def samples(self) -> dict[tuple[str, Labels], float]:
        """All it holds of ours, and its own times of pushes, by name and labels."""
        text = requests.get(f"{self.url}/metrics", timeout=5).text
        return {
            (sample.name, frozenset((k, v) for k, v in sample.labels.items() if v)): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith(("esg_pipeline_", "push_"))
        }

    def value(self, name: str, job: str = "esg_pipeline", **labels: str) -> float | None:
        """One sample, None if it is not there."""
        return self.samples().get((name, frozenset({"job": job, **labels}.items())))

    def forget(self) -> None:
        """Delete every group."""
        requests.put(f"{self.url}/api/v1/admin/wipe", timeout=5).raise_for_status()


@contextmanager
def run_pushgateway(folder: Path, port: int | None = None) -> Iterator[Pushgateway]:
    address = f"127.0.0.1:{port or free_port()}"
    command = [
        "prometheus-pushgateway",
        f"--web.listen-address={address}",
        "--web.enable-admin-api",
    ]
    with _run(command, folder / "pushgateway.log", f"http://{address}/-/ready"):
        yield Pushgateway(f"http://{address}")


@contextmanager
def run_prometheus(folder: Path, config: Path) -> Iterator[str]:
    """Give the base URL of a Prometheus with this configuration."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={address}",
    ]
    with _run(command, folder / "prometheus.log", f"http://{address}/-/ready"):
        yield f"http://{address}"


@contextmanager
def run_alertmanager(folder: Path, config: Path) -> Iterator[str]:
    """Give the address (host:port) of an Alertmanager with this configuration."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus-alertmanager",
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with _run(command, folder / "alertmanager.log", f"http://{address}/-/ready"):
        yield address
