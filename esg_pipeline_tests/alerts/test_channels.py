"""Each channel against a real receiver: what arrives, and what a refusal says."""

import socket
import sys
import threading

import pytest
import trustme
from pydantic import ValidationError

from esg_pipeline.alerts.channels import Channel, ChannelError, open_channels
from esg_pipeline_tests.alerts.facts import message
from esg_pipeline_tests.servers.pagerduty import ROUTING_KEY
from esg_pipeline_tests.servers.smtp import PASSWORD, MailServer, SilentServer
from esg_pipeline_tests.servers.webhook import WebhookServer

KEY = "esg_pipeline:2026-11-24:failure_share"


@pytest.fixture
def impatient(monkeypatch) -> None:
    """A step may take one second, so that a hanging server is found out fast."""
    for module in ("channel", "email", "pagerduty"):
        monkeypatch.setattr(f"esg_pipeline.alerts.channels.{module}.STEP_TIMEOUT_S", 1.0)


def only(channels: list[Channel]) -> Channel:
    assert len(channels) == 1
    return channels[0]


def refusal(channel: Channel) -> str:
    with pytest.raises(ChannelError) as caught:
        channel.send(message())
    text = str(caught.value)
    assert "\n" not in text
    for secret in (PASSWORD, ROUTING_KEY, "webhook-key-canary"):
        assert secret not in text
    return text


class TestEmail:
    def test_a_mail_goes_over_starttls_to_all_groups_that_hear_it(self, mail, make_settings):
        only(open_channels(make_settings(mail))).send(message())
        (received,) = mail.wait_for(1)
        assert received.over_tls
        assert received.recipients == (
            "dev@firm.example",
            "oncall@firm.example",
            "desk@firm.example",
        )
        assert received.message["Message-ID"] == (
            "<esg_pipeline.2026-11-24.failure_share.raised.1@firm.example>"
        )
        assert received.message["Auto-Submitted"] == "auto-generated"
        assert "failure_share" in received.message["Subject"]
        assert "6,000 of 100,000 accounts (6 %; alert above 5 %)" in received.text
        assert "esg-pipeline run --date 2026-11-24 --failed-only" in received.html

    def test_the_business_group_hears_only_what_is_for_it(self, mail, make_settings):
        channel = only(open_channels(make_settings(mail)))
        channel.send(message("unauthorized"))
        channel.send(message("delivery_note"))
        engineers, business = mail.wait_for(2)
        assert engineers.recipients == ("dev@firm.example", "oncall@firm.example")
        assert business.recipients == ("desk@firm.example",)

    @pytest.mark.servers
    def test_smtps_is_encrypted_from_the_first_byte(self, authority, make_settings):
        with MailServer(tls=authority, implicit_tls=True, login=False) as server:
            only(open_channels(make_settings(server))).send(message())
            assert server.wait_for(1)[0].over_tls

    @pytest.mark.servers
    def test_a_certificate_of_a_stranger_is_refused(self, make_settings):
        with MailServer(tls=trustme.CA()) as server:
            text = refusal(only(open_channels(make_settings(server))))
        assert "certificate is not trusted" in text and "SSL_CERT_FILE" in text
        assert server.offered == 0

    @pytest.mark.servers
    def test_a_certificate_for_another_host_is_refused(self, authority, make_settings):
        with MailServer(tls=authority, certificate_for="mail.elsewhere.example") as server:
            assert "not trusted" in refusal(only(open_channels(make_settings(server))))
        assert server.offered == 0

    @pytest.mark.servers
    def test_a_server_elsewhere_without_starttls_gets_neither_mail_nor_password(
        self, make_settings, monkeypatch
    ):
        with MailServer(login=False) as server:
            resolve = socket.getaddrinfo

            def nearby(host, *arguments, **options):
                return resolve(
                    "127.0.0.1" if host == "mail.firm.example" else host, *arguments, **options
                )

            monkeypatch.setattr(socket, "getaddrinfo", nearby)
            url = f"smtp://user:{PASSWORD}@mail.firm.example:{server.port}"
            text = refusal(only(open_channels(make_settings(smtp_url=url))))
        assert "offers no STARTTLS" in text
        assert server.offered == 0

    @pytest.mark.servers
    def test_a_relay_on_this_machine_may_be_without_tls(self, make_settings):
        with MailServer(login=False) as server:
            only(open_channels(make_settings(server))).send(message())
            assert not server.wait_for(1)[0].over_tls

    def test_a_wrong_password_is_said_so_and_not_shown(self, mail, make_settings):
        url = f"smtp://pipeline:not-{PASSWORD}@127.0.0.1:{mail.port}"
        text = refusal(only(open_channels(make_settings(smtp_url=url))))
        assert "refused the login (535)" in text and "ESG_SMTP_URL" in text

    @pytest.mark.parametrize(("fault", "code"), [("busy", "451"), ("refuse", "554")])
    def test_a_refused_mail_is_an_error_with_its_code(self, fault, code, mail, make_settings):
        mail.fault = fault
        assert f"answered {code}" in refusal(only(open_channels(make_settings(mail))))
        assert mail.received == []

    def test_one_refused_recipient_does_not_keep_the_mail_from_the_others(
        self, mail, make_settings, caplog
    ):
        mail.refused_recipients = {"oncall@firm.example"}
        only(open_channels(make_settings(mail))).send(message())
        assert mail.wait_for(1)[0].recipients == ("dev@firm.example", "desk@firm.example")
        assert "refused 1 of the recipients" in caplog.text

    def test_no_recipient_at_all_is_an_error(self, mail, make_settings):
        mail.refused_recipients = {"dev@firm.example"}
        settings = make_settings(mail, alert_email_dev="dev@firm.example", alert_email_business="")
        assert "refused all recipients (550)" in refusal(only(open_channels(settings)))

    @pytest.mark.servers
    @pytest.mark.usefixtures("impatient")
    def test_a_server_that_hangs_is_left_in_time(self, make_settings):
        with SilentServer() as server:
            url = f"smtp://127.0.0.1:{server.port}"
            assert "no answer" in refusal(only(open_channels(make_settings(smtp_url=url))))

    def test_a_server_that_is_not_there_is_an_error(self, mail, make_settings):
        mail.stop()
        assert "Connection refused" in refusal(only(open_channels(make_settings(mail))))

    @pytest.mark.servers
    def test_a_bad_goodbye_after_the_mail_was_taken_is_no_error(self, make_settings):
        with OddFarewell() as server:
            url = f"smtp://127.0.0.1:{server.port}"
            only(open_channels(make_settings(smtp_url=url))).send(message())
            assert server.took_mail

    def test_check_logs_in_and_sends_nothing(self, mail, make_settings):
        text = only(open_channels(make_settings(mail))).check()
        assert text == f"mail server 127.0.0.1:{mail.port}: TLS, login accepted"
        assert mail.offered == 0


class TestPagerDuty:
    def test_trigger_and_resolve_are_one_incident(self, pagerduty, make_settings):
        channel = only(open_channels(make_settings(pagerduty=pagerduty)))
        channel.send(message(dagster_url="https://dagster.firm.example"))
        channel.send(message())
        assert pagerduty.open_now == {KEY}
        channel.send(message(phase="resolved"))
        assert pagerduty.opened == {KEY: 1}
        assert pagerduty.open_now == set()
        event = pagerduty.requests[0].body
        assert event["payload"]["severity"] == "error"
        assert event["payload"]["class"] == "failure_share"
        assert event["payload"]["custom_details"]["Reasons"] == "timeout 5,000, http_5xx 1,000"
        assert event["links"][0]["href"] == "https://dagster.firm.example/runs/0b6c3a1e"

    @pytest.mark.parametrize("status", [429, 500, 503, 301])
    def test_a_bad_answer_is_one_attempt_and_an_error(self, status, pagerduty, make_settings):
        pagerduty.status = status
        text = refusal(only(open_channels(make_settings(pagerduty=pagerduty))))
        assert f"answered {status}" in text
        assert pagerduty.attempts == 1

    def test_a_wrong_key_is_said_so(self, pagerduty, make_settings):
        pagerduty.status = 400
        text = refusal(only(open_channels(make_settings(pagerduty=pagerduty))))
        assert "ESG_PAGERDUTY_ROUTING_KEY" in text

    @pytest.mark.usefixtures("impatient")
    def test_an_endpoint_that_hangs_is_left_in_time(self, pagerduty, make_settings):
        pagerduty.status = None
        text = refusal(only(open_channels(make_settings(pagerduty=pagerduty))))
        assert "no answer" in text
        assert pagerduty.attempts == 1

    @pytest.mark.servers
    def test_http_away_from_loopback_is_refused_before_the_key_leaves(self, make_settings):
        with pytest.raises(ValidationError, match="http:// is only allowed for loopback"):
            make_settings(
                pagerduty_routing_key=ROUTING_KEY, pagerduty_url="http://events.example.com"
            )

    def test_http_on_loopback_is_a_trial(self, webhook, make_settings):
        plain = f"http://127.0.0.1:{webhook.port}"
        channel = only(
            open_channels(make_settings(pagerduty_routing_key=ROUTING_KEY, pagerduty_url=plain))
        )
        assert "for a trial only" in channel.check()
        assert webhook.attempts == 0
        assert "not PagerDuty's" in refusal(channel)  # it is only a webhook
        assert webhook.attempts == 1

    def test_a_certificate_of_a_stranger_is_refused(self, pagerduty, make_settings, monkeypatch):
        monkeypatch.delenv("SSL_CERT_FILE")
        channel = only(open_channels(make_settings(pagerduty=pagerduty)))
        assert "certificate is not trusted" in refusal(channel)
        with pytest.raises(ChannelError, match="certificate is not trusted"):
            channel.check()
        assert pagerduty.attempts == 0

    def test_check_sends_no_event(self, pagerduty, make_settings):
        text = only(open_channels(make_settings(pagerduty=pagerduty))).check()
        assert "TLSv1" in text and "alerts test" in text
        assert pagerduty.attempts == 0


class TestApprise:
    def test_a_webhook_gets_subject_and_text(self, webhook, make_settings):
        only(open_channels(make_settings(webhook=webhook))).send(message())
        body = webhook.wait_for(1)[0].body
        assert body["title"].startswith("[esg_pipeline] 2026-11-24 failure_share: ")
        assert "    esg-pipeline run --date 2026-11-24 --failed-only" in body["message"]
        assert body["type"] == "failure"

    def test_each_url_is_a_channel_whose_name_hides_it(self, make_settings):
        first, second = open_channels(
            make_settings(alert_urls="json://127.0.0.1:1/key-canary, jsons://127.0.0.1:2/other")
        )
        assert first.name != second.name
        assert first.name.startswith("json:") and "canary" not in first.name
        again, _ = open_channels(
            make_settings(alert_urls="json://127.0.0.1:1/key-canary jsons://127.0.0.1:2/other")
        )
        assert again.name == first.name

    def test_a_refusal_says_the_status(self, webhook, make_settings):
        webhook.status = 500
        assert "500" in refusal(only(open_channels(make_settings(webhook=webhook))))

    def test_it_stays_in_the_calling_thread(self, webhook, make_settings):
        """Apprise's thread pools would keep the process from ending while a receiver hangs."""
        before = set(threading.enumerate())
        only(open_channels(make_settings(webhook=webhook))).send(message())
        started = [t for t in set(threading.enumerate()) - before if "ThreadPool" in t.name]
        assert started == []

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("nonsense://somewhere/webhook-key-canary", "not one that Apprise understands"),
            ("json://hooks.firm.example/webhook-key-canary", "use jsons://"),
            ("jsons://hooks.firm.example/webhook-key-canary?verify=no", "verify=no"),
        ],
    )
    def test_an_unsafe_or_unknown_url_is_refused(self, url, says, make_settings):
        channel = only(open_channels(make_settings(alert_urls=url)))
        assert says in refusal(channel)
        with pytest.raises(ChannelError, match="ESG_ALERT_URLS"):
            channel.check()

    @pytest.mark.servers
    def test_a_redirect_is_not_followed(self, make_settings):
        with WebhookServer() as elsewhere, WebhookServer(status=307) as server:
            server.location = f"http://127.0.0.1:{elsewhere.port}/"
            channel = only(open_channels(make_settings(webhook=server)))
            assert "307" in refusal(channel)
            assert elsewhere.attempts == 0


_connected_to: list[str] | None = None


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _connected_to is not None and event in ("socket.connect", "socket.getaddrinfo"):
        _connected_to.append(str(arguments))


sys.addaudithook(_watch)


def test_channels_speak_to_their_own_receivers_only(
    mail, pagerduty, webhook, make_settings, monkeypatch
):
    """No library reports to its makers: nothing else is looked up or connected to."""
    seen: list[str] = []
    monkeypatch.setattr(sys.modules[__name__], "_connected_to", seen)
    for channel in open_channels(make_settings(mail, pagerduty, webhook)):
        channel.check()
        channel.send(message())
    ports = {mail.port, pagerduty.port, webhook.port}
    strangers = [each for each in seen if not any(f"'127.0.0.1', {port}" in each for port in ports)]
    assert strangers == []
    assert all(any(str(port) in each for each in seen) for port in ports)


def test_without_settings_there_is_no_channel(make_settings):
    assert open_channels(make_settings()) == []


class OddFarewell:
    """A mail server that takes one mail and answers QUIT with nonsense."""

    def __init__(self) -> None:
        self.took_mail = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rwb") as lines:

            def say(text: bytes) -> None:
                lines.write(text + b"\r\n")
                lines.flush()

            say(b"220 hello")
            for line in lines:
                verb = line[:4].upper()
                if verb == b"DATA":
                    say(b"354 go on")
                    while lines.readline() != b".\r\n":
                        pass
                    self.took_mail = True
                say(b"500 what?" if verb == b"QUIT" else b"250 fine")

    def __enter__(self) -> "OddFarewell":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._thread.join(5)
