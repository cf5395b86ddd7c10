"""A store in trouble: SlowDown, broken connections, a 403 at the end, death at any request."""

import itertools
import os
import socket
from collections.abc import Callable

import pytest

from esg_pipeline.delivery import (
    DeliveryError,
    DeliveryInvalid,
    editions,
    pending_sealed,
    seal_locally,
    verify,
)
from esg_pipeline.delivery.s3 import PART_SIZE_BYTES
from esg_pipeline.settings import Settings
from esg_pipeline_tests.delivery.reports import DAY, deliver_day, facts, report_files
from esg_pipeline_tests.delivery.test_folder_delivery import deliver_files
from esg_pipeline_tests.servers.faulty_proxy import Cut, Fault, Request, S3Error
from esg_pipeline_tests.servers.seaweedfs import BUCKET

pytestmark = pytest.mark.usefixtures("no_backoff")

REPORT = "FirmESGRatings_20261124.csv"


def first(times: int, fault: Fault, method: str) -> Callable[[Request], Fault]:
    """The first so many requests of a kind fail, then all is well."""
    left = itertools.repeat(fault, times)
    return lambda request: next(left, None) if request.method == method else None


@pytest.mark.parametrize(
    ("fault", "method"),
    [
        (S3Error(503, "SlowDown"), "PUT"),
        (S3Error(500, "InternalError"), "GET"),
        (Cut.AT_ONCE, "HEAD"),
        (Cut.UPLOAD, "PUT"),
        (Cut.ANSWER, "PUT"),
    ],
)
def test_five_failures_in_a_row_are_ridden_out(open_s3, proxy, signer, fault, method):
    store = open_s3()
    proxy.fault = first(5, fault, method)
    deliver_day(store, signer)
    assert verify(store, DAY, trusted=signer.trusted).edition == 1


def test_a_download_that_breaks_off_is_read_again(open_s3, proxy):
    store = open_s3()
    content = os.urandom(1_000_000)
    store.write("frames/20261124/x.parquet", content)
    proxy.fault = first(2, Cut.DOWNLOAD, "GET")
    assert store.read("frames/20261124/x.parquet") == content
    proxy.fault = lambda request: Cut.DOWNLOAD if request.method == "GET" else None
    with pytest.raises(DeliveryError, match="the connection broke"):
        store.read("frames/20261124/x.parquet")


def test_a_big_upload_that_cannot_finish_is_given_up(
    open_s3, proxy, s3_environment, prefix, monkeypatch
):
    monkeypatch.setattr("esg_pipeline.delivery.s3.SINGLE_PUT_MAX_BYTES", PART_SIZE_BYTES)
    store = open_s3()
    proxy.fault = lambda request: Cut.UPLOAD if "partNumber=2" in request.path else None
    with pytest.raises(DeliveryError, match="cannot write"):
        store.write("frames/20261124/x.parquet", os.urandom(PART_SIZE_BYTES + 1))
    uploads = s3_environment.client().list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
    assert "Uploads" not in uploads


def test_a_server_that_never_answers_is_given_up(open_s3, monkeypatch):
    monkeypatch.setattr("esg_pipeline.delivery.s3.READ_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        with pytest.raises(DeliveryError, match=r"the connection broke.*ReadTimeoutError"):
            open_s3().read("frames/20261124/x.parquet")


def test_wrong_bytes_in_the_store_stop_the_delivery(open_s3, proxy, signer, s3_environment):
    store = open_s3()
    deliver_day(store, signer)

    def overwrite(request: Request) -> Fault:
        if request.method == "GET" and "-readers-" in request.path and REPORT in request.path:
            s3_environment.client().put_object(
                Bucket=BUCKET, Key=request.path.split("/", 2)[2], Body=b"wrong"
            )
        return None

    proxy.fault = overwrite
    with pytest.raises(DeliveryError, match="other bytes than were written; nothing was delivered"):
        deliver_day(store, signer, 2, failed=2)
    proxy.fault = lambda _: None
    assert verify(store, DAY, trusted=signer.trusted).edition == 1


def test_a_403_at_the_very_end_leaves_a_sealed_copy_that_is_delivered_later(
    open_s3, proxy, signer, home
):
    store, settings = open_s3(), Settings(_env_file=None, DAGSTER_HOME=home)
    store.preflight()
    proxy.fault = lambda request: S3Error(403, "AccessDenied") if request.method == "PUT" else None
    with pytest.raises(DeliveryError, match="access is denied"):
        deliver_day(store, signer)
    seal_locally(settings, report_files(), facts())
    proxy.fault = lambda _: None
    (waiting,) = pending_sealed(settings)
    deliver_files(store, signer, waiting.files(), waiting.facts)
    assert verify(store, DAY, trusted=signer.trusted).edition == 1


def test_cut_off_for_good_at_any_request_loses_nothing_and_a_rerun_finishes(
    open_s3, proxy, signer, prefix
):
    def deliver_and_count(number: int, fault_from: int | None) -> int:
        store = open_s3(store_url=f"s3://{BUCKET}/{prefix}/{number}")
        counter = itertools.count(1)
        proxy.fault = lambda _: None
        deliver_day(store, signer)
        proxy.requests.clear()
        if fault_from is not None:
            proxy.fault = lambda _: Cut.AT_ONCE if next(counter) >= fault_from else None
            try:
                deliver_day(store, signer, 2, failed=2)
                delivered = True
            except DeliveryError:
                delivered = False
            proxy.fault = lambda _: None
            # The other way round may happen: the manifest is there, its acknowledgement was cut.
            assert not delivered or verify(store, DAY, trusted=signer.trusted).edition == 2
            check_what_readers_see(store)
        deliver_day(store, signer, 2, failed=2)
        requests = len(proxy.requests)
        assert verify(store, DAY, trusted=signer.trusted).edition == 2
        assert editions(store, DAY) == [1, 2]
        return requests

    def check_what_readers_see(store) -> None:
        assert store.read(REPORT) in (report_files()[".csv"], report_files(failed=2)[".csv"])
        assert verify(store, DAY, trusted=signer.trusted, edition=1).edition == 1
        try:
            assert verify(store, DAY, trusted=signer.trusted).edition in (1, 2)
        except DeliveryInvalid as invalid:
            assert "whole under editions/: edition 1, 2" in str(invalid)

    total = deliver_and_count(0, None)
    every = 1 if os.environ.get("ESG_TEST_FULL") == "1" else 5
    assert total > 40
    for request in range(1, total + 1, every):
        deliver_and_count(request, request)
