"""One masker: no known secret is left in any spelling, no unknown one that gives itself away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esg_pipeline.safe_text import mask, register_secret, without_secrets
from esg_pipeline.safe_text.secrets import Masker
from esg_pipeline.settings import Settings, SettingsError, load_settings
from esg_pipeline_tests.safe_text.probes import FIVE, PROBES, Probe, chain_of

EACH = pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)


@EACH
def test_no_secret_can_be_read_in_a_masked_text(probe):
    probe.arm()
    masked = mask(probe.text)
    assert not probe.is_readable_in(masked), masked
    assert "***" in masked


@EACH
def test_a_masked_text_stays_as_it_is(probe):
    probe.arm()
    masked = mask(probe.text)
    assert mask(masked) == masked


@pytest.mark.parametrize("probe", [each for each in PROBES if each.settings or each.fetched])
def test_a_probe_is_readable_as_long_as_nobody_told_of_its_secret(probe):
    """Or it would prove nothing of what is registered."""
    given_away = {"the whole URL of a database", "the password of the metrics gateway"}
    assert probe.is_readable_in(mask(probe.text)) or probe.name in given_away


def test_the_words_around_a_secret_stay(make_settings=Settings):
    make_settings(_env_file=None, ledger_url="postgresql+psycopg://esg:canary%40pw@db.example/esg")
    url = "postgresql+psycopg://esg:canary%40pw@db.example/esg"
    assert mask(f"cannot reach {url}: timeout") == (
        "cannot reach postgresql+psycopg://esg:***@db.example/esg: timeout"
    )


@pytest.mark.parametrize(
    "text",
    [
        "esg_pipeline: 6,000 of 100,000 accounts failed",
        "ESG_API_TOKEN: missing; set it, or the three ESG_API_OAUTH_… settings",
        "write for example postgresql+psycopg://user:password@host/name",
        "http://127.0.0.1:3000/runs/0b6c3a1e and oncall@firm.example",
        "https://dagster.firm.example:8443/runs/1?x=2 for a@b.example",
        "token endpoint: no token (HTTP 500); trying again",
        "basic authentication is needed; the bearer token is missing",
        "dedup_key: esg_pipeline:2026-11-24:run_failed, rows=5, signal=15",
        "sqlite:////srv/accounts.db",
        "",
    ],
)
def test_our_own_texts_hold_no_secret(text):
    assert mask(text) == text


def test_a_short_password_does_not_eat_our_own_words():
    Settings(_env_file=None, ledger_url="postgresql+psycopg://esg:esg@db/x")
    assert mask("esg_pipeline: password esg refused") == "esg_pipeline: password *** refused"


def test_the_host_and_the_scheme_of_a_webhook_are_no_secrets():
    urls = "json://127.0.0.1:8080/q7zk-canary workflows://hooks.chat.example/?template=canary-file"
    Settings(_env_file=None, alert_urls=urls)
    text = "workflows:12ab at hooks.chat.example, json at 127.0.0.1, template"
    assert mask(text) == text
    assert mask("q7zk-canary and canary-file") == "*** and ***"


def test_the_secrets_that_libraries_read_themselves_are_masked_too():
    load_settings({"AWS_SECRET_ACCESS_KEY": "canary/aws", "AWS_SESSION_TOKEN": "canary-session"})
    assert mask("SignatureDoesNotMatch canary/aws, canary-session") == (
        "SignatureDoesNotMatch ***, ***"
    )


@pytest.mark.parametrize("probe", FIVE, ids=lambda probe: probe.name)
def test_no_error_of_the_settings_shows_a_secret(probe: Probe):
    probe.arm()
    error = SettingsError([probe.text, "ESG_API_URL: missing"])
    assert not probe.is_readable_in(str(error))
    assert not probe.is_readable_in("".join(error.problems))
    assert error.problems[1] == "ESG_API_URL: missing"


SECRET_TEXT = st.text(alphabet="abAB01-_/+=%@:.\"'\\ é\n", min_size=5, max_size=20)


@given(before=st.text(), first=SECRET_TEXT, shared=SECRET_TEXT, last=SECRET_TEXT, after=st.text())
def test_overlapping_secrets_are_both_gone(before, first, shared, last, after):
    masker = Masker()
    masker.register_secret(first + shared)
    masker.register_secret(shared + last)
    left = masker.mask(before + first + shared + last + after).split("***")
    for secret in (first + shared, shared + last):
        assert not [each for each in left if secret.strip() and secret in each]


@given(st.text(max_size=300))
def test_a_text_that_nobody_masks_is_not_changed(text):
    masked = Masker().mask(text)
    assert masked == text or "***" in masked


def raised(error: Exception) -> Exception:
    with pytest.raises(Exception) as caught, without_secrets():
        raise error
    return caught.value


@EACH
def test_an_error_and_what_is_behind_it_are_told_without_secrets(probe):
    probe.arm()
    error: BaseException | None = raised(chain_of(probe.text))
    assert error.__notes__ == [mask(probe.text)]
    kinds = []
    while error is not None:
        kinds.append(type(error).__name__)
        assert not probe.is_readable_in("".join([str(error), *getattr(error, "__notes__", ())]))
        assert error.__suppress_context__ or error.__context__ is None
        error = error.__cause__
    assert kinds == ["RuntimeError", "ConnectionError", "KeyError"]


def test_an_error_without_secrets_comes_out_as_it_is():
    error = ValueError("seven")
    error.__cause__ = KeyError("eight")
    assert raised(error) is error


def test_an_error_that_cannot_be_shown_does_not_hide_the_secret_behind_it():
    class Unshowable(Exception):
        def __str__(self):
            raise RuntimeError("no")

    register_secret("canary-secret")
    error = Unshowable()
    error.__cause__ = ValueError("canary-secret")
    shown = raised(error)
    assert (type(shown).__name__, str(shown.__cause__)) == ("Unshowable", "***")
