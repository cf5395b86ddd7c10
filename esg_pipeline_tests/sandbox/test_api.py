"""The API as a sound client meets it: contract, credentials, limit, latency, outage."""

import base64
import json
import socket
import ssl
import time
from datetime import date
from urllib.parse import quote, urlencode, urlsplit

import pytest
import trustme

from esg_pipeline.sandbox import (
    SandboxError,
    expected_answer,
    registered_focus,
    start_sandbox,
)
from esg_pipeline_tests.sandbox.wire import DAY, Caller, ask_on_the_wire, receive, send

TODAY = date.fromisoformat(DAY)


@pytest.fixture
def caller(sandbox):
    with Caller(sandbox) as caller:
        yield caller


@pytest.mark.parametrize("account_id", ["00123", "1E5", "../x", "a/b ?&", "山田", "🌱"])
def test_post_and_get_give_the_expected_answer(sandbox, caller, account_id):
    asked = caller.post(account_id, focus="governance")
    assert asked == (200, expected_answer(account_id, TODAY, "governance"))
    assert caller.post(account_id) == (200, expected_answer(account_id, TODAY, None))
    path = urlsplit(sandbox.api_get_url).path.replace("{account_id}", quote(account_id, safe=""))
    on_file = expected_answer(account_id, TODAY, registered_focus(account_id))
    assert caller.request("GET", f"{path}?analysis_date={DAY}") == (200, on_file)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"analysis_date": "2026-11-24"}', "portfolio_id must be text"),
        (b'{"portfolio_id": 123, "analysis_date": "2026-11-24"}', "portfolio_id must be text"),
        (b'{"portfolio_id": "A1"}', "YYYY-MM-DD"),
        (b'{"portfolio_id": "A1", "analysis_date": "24.11.2026"}', "YYYY-MM-DD"),
        (b'{"portfolio_id": "A1", "analysis_date": "20261124"}', "YYYY-MM-DD"),
        (
            b'{"portfolio_id": "A1", "analysis_date": "2026-11-24", "primary_esg_focus": "x"}',
            "must be one of environmental, social, governance",
        ),
    ],
)
def test_a_request_that_breaks_the_contract_gets_400(caller, body, complaint):
    status, answer = caller.request("POST", caller.path, body)
    assert status == 400
    assert complaint in answer["error"]


def test_another_path_or_method_gets_404(caller):
    assert caller.request("GET", caller.path)[0] == 404
    assert caller.request("POST", "/", b"{}")[0] == 404


def test_control_is_not_on_the_port_of_the_api(caller):
    assert caller.request("GET", "/_control/counts")[0] == 404


@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_only_the_right_token_is_let_in(sandbox, token):
    with Caller(sandbox, token=quote(token)) as stranger:
        assert stranger.post("A1")[0] == 401
    assert sandbox.counts().unauthorized == 1


@pytest.mark.servers
def test_a_rotated_token_lets_only_the_new_one_in(tmp_path):
    with start_sandbox(tmp_path, accounts=1) as own:
        new = own.rotate_token()
        assert new != own.token
        with Caller(own) as old, Caller(own, token=new) as fresh:
            assert (old.post()[0], fresh.post()[0]) == (401, 200)


def fetch_token(sandbox, *, in_header=True, secret=None):
    settings = sandbox.oauth_env()
    client_id = settings["ESG_API_OAUTH_CLIENT_ID"]
    secret = secret or settings["ESG_API_OAUTH_CLIENT_SECRET"]
    form = {"grant_type": "client_credentials"}
    headers = {}
    if in_header:
        credentials = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    else:
        form |= {"client_id": client_id, "client_secret": secret}
    with Caller(sandbox) as caller:
        path = urlsplit(settings["ESG_API_OAUTH_TOKEN_URL"]).path
        caller.connection.request("POST", path, urlencode(form), headers)
        response = caller.connection.getresponse()
        return response.status, json.loads(response.read())


@pytest.mark.parametrize("in_header", [True, False])
def test_an_oauth_token_is_let_in_until_it_expires(sandbox, in_header):
    sandbox.set_faults(token_lifetime_s=0.3)
    status, grant = fetch_token(sandbox, in_header=in_header)
    assert (status, grant["token_type"], grant["expires_in"]) == (200, "Bearer", 0.3)
    with Caller(sandbox, token=grant["access_token"]) as caller:
        assert caller.post()[0] == 200
        time.sleep(0.3)
        assert caller.post()[0] == 401
    assert (sandbox.counts().token_requests, sandbox.counts().tokens_issued) == (1, 1)


def test_a_wrong_secret_or_a_broken_token_endpoint_gives_no_token(sandbox):
    assert fetch_token(sandbox, secret="wrong") == (401, {"error": "invalid_client"})
    sandbox.set_faults(token_status=500)
    assert fetch_token(sandbox)[0] == 500
    assert (sandbox.counts().token_requests, sandbox.counts().tokens_issued) == (2, 0)


def test_the_limit_lets_exactly_so_many_through_in_a_second(sandbox, caller):
    sandbox.set_faults(rate_limit=20, throttle_headers={"Retry-After": "7", "X-Why": "limit"})
    statuses = [caller.post(f"A{number}")[0] for number in range(50)]
    assert statuses == [200] * 20 + [429] * 30
    refused = ask_on_the_wire(sandbox)
    assert (refused.header("Retry-After"), refused.header("X-Why")) == ("7", "limit")
    counts = sandbox.counts()
    assert (counts.total, counts.over_limit, counts.max_in_a_second) == (51, 31, 51)
    sandbox.set_faults(rate_limit=None)
    assert caller.post()[0] == 200


def test_the_throttle_can_have_another_status(sandbox, caller):
    sandbox.set_faults(rate_limit=1, throttle_status=403)
    assert [caller.post()[0] for _ in range(2)] == [200, 403]


def test_the_cap_on_concurrency_refuses_what_is_over_it(sandbox):
    sandbox.set_faults(max_concurrency=3, latency_s=0.3)
    answers = [receive(peer).status for peer in [send(sandbox) for _ in range(5)]]
    assert sorted(answers) == [200, 200, 200, 429, 429]


def test_latency_is_kept(sandbox, caller):
    sandbox.set_faults(latency_s=[0.1, 0.15])
    began = time.monotonic()
    caller.post()
    assert time.monotonic() - began >= 0.1


def test_only_the_first_calls_of_an_account_and_date_fail(sandbox, caller):
    sandbox.set_faults({"http_500": "1:2"})
    assert [caller.post("A1")[0] for _ in range(4)] == [500, 500, 200, 200]
    assert caller.post("A2")[0] == 500
    sandbox.set_faults(rate_limit=1000)
    assert [caller.post("A2")[0] for _ in range(2)] == [500, 200]
    assert caller.post("A1", day="2026-11-25")[0] == 500


def test_one_account_can_have_a_fault_of_its_own(sandbox, caller):
    sandbox.set_faults(account_faults={"A1": "http_503"})
    assert (caller.post("A1")[0], caller.post("A2")[0]) == (503, 200)


def test_an_outage_hits_every_account_and_ends(sandbox, caller):
    sandbox.set_faults(outage="http_503")
    assert [caller.post(f"A{number}")[0] for number in range(3)] == [503] * 3
    sandbox.set_faults(outage=None)
    assert caller.post()[0] == 200


def test_an_api_that_does_not_listen_refuses_and_comes_back_on_its_port(sandbox, caller):
    url = urlsplit(sandbox.api_url)
    assert caller.post()[0] == 200
    sandbox.set_faults(listening=False)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((url.hostname, url.port))
    with pytest.raises(ConnectionError):
        caller.post()
    sandbox.set_faults(listening=True)
    assert ask_on_the_wire(sandbox).status == 200


def test_calls_in_flight_are_cut_when_the_api_stops_listening(sandbox):
    sandbox.set_faults({"timeout": 1})
    peer = send(sandbox)
    sandbox.wait_for_calls(1)
    sandbox.set_faults(listening=False)
    assert receive(peer).head == ""
    assert sandbox.counts().in_flight == 0


def test_what_cannot_be_is_refused_and_changes_nothing(sandbox, caller):
    sandbox.set_faults(outage="http_503")
    with pytest.raises(SandboxError, match="unknown fault 'http_999'"):
        sandbox.set_faults({"http_999": 1}, outage=None)
    with pytest.raises(SandboxError, match="unknown setting 'speed'"):
        sandbox.set_faults(speed=1)
    assert caller.post()[0] == 503


def test_healing_undoes_every_part(sandbox, caller):
    sandbox.set_faults({"nan": 1}, outage="http_503", rate_limit=1, account_faults={"A1": "bom"})
    caller.post()
    sandbox.heal()
    assert [caller.post("A1")[0] for _ in range(3)] == [200] * 3
    assert sandbox.counts().by_fault == {}


@pytest.mark.servers
def test_the_api_speaks_tls_when_it_has_a_certificate(tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(certificate, append=True)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    with start_sandbox(tmp_path, accounts=1, certificate=certificate, private_key=key) as sandbox:
        url = urlsplit(sandbox.api_url)
        assert url.scheme == "https"
        with (
            socket.create_connection((url.hostname, url.port)) as plain,
            client.wrap_socket(plain, server_hostname="127.0.0.1") as peer,
        ):
            peer.sendall(f"GET / HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
            assert peer.recv(100).startswith(b"HTTP/1.1 404")
