"""A server that does not prove who it is gets nothing, and the run stops."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import create_server

import pytest
import trustme

from esg_pipeline.sandbox import start_sandbox
from esg_pipeline.scoring import ApiUntrusted, check_api
from esg_pipeline_tests.scoring.conftest import Scoring, read_accounts

LOOPBACK = "127.0.0.1"


@contextmanager
def tls_server(certificate: trustme.LeafCert, **limits: ssl.TLSVersion) -> Iterator[list[bytes]]:
    """Accept TLS connections and note what is sent over them; yields [url, what was sent …]."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    for name, version in limits.items():
        setattr(context, name, version)
    if "maximum_version" in limits:
        context.set_ciphers("ALL:@SECLEVEL=0")
    listener = create_server((LOOPBACK, 0))
    sent: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    sent.append(secure.recv(1000))
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield [f"https://{LOOPBACK}:{listener.getsockname()[1]}/rate", sent]
    finally:
        listener.shutdown(2)
        listener.close()
        thread.join(10)


CA = trustme.CA()
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    CA.cert_pem.write_to_path(str(path))
    return path


BAD = {
    "unknown CA": trustme.CA().issue_cert(LOOPBACK),
    "wrong host": CA.issue_cert("somewhere.else.example"),
    "expired": CA.issue_cert(LOOPBACK, not_after=YESTERDAY),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_certificate_that_does_not_verify_stops_the_run_and_nothing_is_sent(
    scoring, ca_file, kind
):
    with tls_server(BAD[kind]) as (url, sent):
        with pytest.raises(ApiUntrusted, match=r"ESG_API_URL.*nothing was sent"):
            scoring.run(500, api_url=url, api_ca_file=ca_file)
        with pytest.raises(ApiUntrusted):
            check_api(scoring.settings(api_url=url, api_ca_file=ca_file))
    assert sent == []
    assert scoring.checkpoint.ratings == {}
    assert scoring.checkpoint.attempts == {}
    assert scoring.checkpoint.begun == set()


def test_an_old_tls_version_is_refused(scoring, ca_file):
    with (
        pytest.warns(DeprecationWarning),
        tls_server(
            CA.issue_cert(LOOPBACK),
            minimum_version=ssl.TLSVersion.TLSv1,
            maximum_version=ssl.TLSVersion.TLSv1_1,
        ) as (url, sent),
        pytest.raises(ApiUntrusted),
    ):
        scoring.run(50, api_url=url, api_ca_file=ca_file)
    assert sent == []


@pytest.mark.servers
def test_a_certificate_of_the_given_ca_is_trusted(tmp_path, ca_file):
    leaf = CA.issue_cert(LOOPBACK)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    leaf.private_key_pem.write_to_path(str(key))
    for blob in leaf.cert_chain_pems:
        blob.write_to_path(str(certificate), append=True)
    with start_sandbox(tmp_path, accounts=200, certificate=certificate, private_key=key) as sandbox:
        scoring = Scoring(sandbox, read_accounts(str(tmp_path / "accounts.db")), sandbox.token)
        ratings = scoring.run(200, api_ca_file=ca_file)
        assert {str(rating.status) for rating in ratings.values()} == {"Successful"}
        assert "answers" in check_api(scoring.settings(api_ca_file=ca_file))
