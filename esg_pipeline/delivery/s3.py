"""An S3 bucket as a store's place: SSE-KMS always, TLS, checksums, bounded waits.

What the bucket answers is checked after every write: an object that is not encrypted with the
configured key is deleted again and the write refused. No ACL is ever sent. boto3 reads its
environment as in every AWS tool (`AWS_ENDPOINT_URL_S3`, credentials, region, `AWS_CA_BUNDLE`).
"""

import hashlib
import ipaddress
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from esg_pipeline.delivery.errors import DeliveryError, DeliveryInvalid, MissingFromStore
from esg_pipeline.delivery.layout import STAGING
from esg_pipeline.delivery.s3_errors import advice_for, is_missing
from esg_pipeline.delivery.store import StoredObject
from esg_pipeline.settings import SettingsError

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 30
ATTEMPTS = 6
"""Of one request; with botocore's backoff they ride out half a minute of SlowDown, and a server
that never answers is given up after three minutes, well within the deadline's reserve."""

READ_ATTEMPTS = 3
"""Of a download that breaks off after its start, which botocore does not repeat."""

SINGLE_PUT_MAX_BYTES = 1024**3
"""Larger files go up in parts. S3 takes 5 GB at once; a bucket policy that demands the encryption
header on every write refuses parts, which cannot carry it."""
PART_SIZE_BYTES = 16 * 1024 * 1024
SSE = "aws:kms"


def boto3_client() -> Any:
    """An S3 client as every AWS tool makes it from its environment."""
    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    # Not boto3's default session: it keeps the credentials it once found.
    return boto3.Session().client("s3", config=Config(retries=retries))


def bounded_client(make_client: Callable[[], Any] = boto3_client) -> Any:
    """An S3 client with our own timeouts, and the bucket in the path except at AWS.

    Args:
        make_client: Makes it in a boto3 session of its own, with `ATTEMPTS`.

    Raises:
        SettingsError: the environment makes no client.
    """
    limits = Config(
        connect_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, tcp_keepalive=True
    )
    try:
        client = _made_with(limits, make_client)
        if ".amazonaws.com" in (urlsplit(client.meta.endpoint_url).hostname or ""):
            return client
        # Other servers rarely know bucket names as host names.
        return _made_with(limits.merge(Config(s3={"addressing_style": "path"})), make_client)
    except (BotoCoreError, ValueError) as error:
        raise SettingsError([f"ESG_STORE_URL: s3:// cannot be used: {error}"]) from None


def _made_with(config: Config, make_client: Callable[[], Any]) -> Any:
    """Make a client whose session begins with this configuration, as botocore lets one do."""

    def configure(session: Any) -> None:
        session.set_default_client_config(config)

    botocore.register_initializer(configure)
    try:
        return make_client()
    finally:
        botocore.unregister_initializer(configure)


class S3Place:
    """Objects in a bucket, below a prefix; see `Place` for the methods.

    Args:
        client: A boto3 S3 client.
        prefix: "" or ends with "/".
        kms_key_id: Key id or ARN; None takes the bucket's KMS default.

    Raises:
        SettingsError: an endpoint without TLS that is not loopback, or an alias for the key.
    """

    encryption: str | None = SSE

    def __init__(self, client: Any, bucket: str, prefix: str, *, kms_key_id: str | None) -> None:
        _require_tls(client.meta.endpoint_url)
        if kms_key_id is not None and "alias/" in kms_key_id:
            raise SettingsError(
                [
                    "ESG_STORE_KMS_KEY_ID: give the key's id or ARN, not an alias, so that what "
                    "the bucket answers can be compared with it"
                ]
            )
        endpoint = urlsplit(client.meta.endpoint_url)
        self._server = f"{endpoint.scheme}://{endpoint.hostname}:{endpoint.port or 443}"
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._kms_key_id = kms_key_id
        self._sse = {"ServerSideEncryption": SSE}
        if kms_key_id is not None:
            self._sse["SSEKMSKeyId"] = kms_key_id

    def describe(self) -> str:
        key = "the bucket's KMS key" if self._kms_key_id is None else f"key {self._kms_key_id}"
        return (
            f"s3://{self._bucket}/{self._prefix} at {self._client.meta.endpoint_url}, {SSE}, {key}"
        )

    def put(self, key: str, content: bytes) -> None:
        with self._told("write", key):
            if len(content) <= SINGLE_PUT_MAX_BYTES:
                self._client.put_object(
                    **self._at(key), Body=content, ChecksumSHA256=_checksum(content), **self._sse
                )
            else:
                self._put_in_parts(key, content)
        self._require_encryption(key)

    def get(self, key: str) -> bytes:
        with self._told("read", key):
            for _ in range(READ_ATTEMPTS - 1):
                body = self._client.get_object(**self._at(key))["Body"]
                with suppress(BotoCoreError):
                    return bytes(body.read())
            return bytes(self._client.get_object(**self._at(key))["Body"].read())

    def copy(self, source: str, target: str) -> None:
        with self._told("copy to", target):
            self._client.copy_object(
                **self._at(target),
                CopySource=self._at(source),
                ChecksumAlgorithm="SHA256",
                **self._sse,
            )
        self._require_encryption(target)

    def move(self, source: str, target: str) -> None:
        self.copy(source, target)
        with suppress(DeliveryError):  # the target is what counts; the next sweep takes the source
            self.delete(source)

    def delete(self, key: str) -> None:
        with self._told("delete", key):
            self._client.delete_object(**self._at(key))

    def list(self, prefix: str) -> list[StoredObject]:
        found = []
        with self._told("list", prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                for each in page.get("Contents", []):
                    key = each["Key"].removeprefix(self._prefix)
                    if prefix or not key.startswith(STAGING):
                        found.append(StoredObject(key, each["Size"], each["LastModified"]))
        return sorted(found, key=lambda each: each.key)

    def check_encryption(self, key: str) -> None:
        sse, _ = self._encryption_of(key)
        if sse != SSE:
            raise DeliveryInvalid(f"{key} is stored with encryption {sse}, not {SSE}")

    def abort_uploads(self, unit: str, begun_before: datetime) -> None:
        with self._told("abort unfinished uploads of", unit):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            for page in pages:
                for each in page.get("Uploads", []):
                    ours = each["Key"].startswith(self._prefix + unit)
                    if ours or each["Initiated"] < begun_before:
                        self._client.abort_multipart_upload(
                            Bucket=self._bucket, Key=each["Key"], UploadId=each["UploadId"]
                        )

    def _put_in_parts(self, key: str, content: bytes) -> None:
        upload = self._client.create_multipart_upload(
            **self._at(key), ChecksumAlgorithm="SHA256", **self._sse
        )
        whole = {**self._at(key), "UploadId": upload["UploadId"]}
        try:
            parts = []
            for number, start in enumerate(range(0, len(content), PART_SIZE_BYTES), start=1):
                part = content[start : start + PART_SIZE_BYTES]
                checksum = _checksum(part)
                answer = self._client.upload_part(
                    **whole, PartNumber=number, Body=part, ChecksumSHA256=checksum
                )
                parts.append(
                    {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}
                )
            self._client.complete_multipart_upload(**whole, MultipartUpload={"Parts": parts})
        except BaseException:
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**whole)
            raise

    def _require_encryption(self, key: str) -> None:
        """Delete what was just written and refuse, unless it is encrypted as it was asked for."""
        sse, key_used = self._encryption_of(key)
        wanted = self._kms_key_id
        if sse == SSE and (wanted is None or _bare_key_id(key_used) == _bare_key_id(wanted)):
            return
        self.delete(key)
        raise DeliveryError(
            f"ESG_STORE_URL: {self.describe()}: the bucket encrypted {key} with {sse} and key "
            f"{key_used} instead; it was deleted again and nothing is delivered unencrypted"
        )

    def _encryption_of(self, key: str) -> tuple[str | None, str]:
        with self._told("read the encryption of", key):
            head = self._client.head_object(**self._at(key))
        return head.get("ServerSideEncryption"), head.get("SSEKMSKeyId", "")

    def _at(self, key: str) -> dict[str, str]:
        if not key or key.startswith("/") or ".." in key.split("/"):
            raise ValueError(f"not a name in a store: {key!r}")
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    @contextmanager
    def _told(self, action: str, key: str) -> Iterator[None]:
        """Turn boto3's error into one line for the person who must act."""
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            if is_missing(error):
                raise MissingFromStore(f"{key}: not in the store ({self.describe()})") from None
            raise DeliveryError(
                f"ESG_STORE_URL: {self.describe()}: cannot {action} {key}: {advice_for(error)}"
            ) from error


def _require_tls(endpoint_url: str) -> None:
    parts = urlsplit(endpoint_url)
    host = parts.hostname or ""
    loopback = host == "localhost"
    with suppress(ValueError):
        loopback = loopback or ipaddress.ip_address(host).is_loopback
    if parts.scheme != "https" and not loopback:
        raise SettingsError(
            [
                "AWS_ENDPOINT_URL_S3: http:// is only allowed for loopback addresses; got "
                f"{parts.scheme}://{host}. Use https://."
            ]
        )


def _checksum(content: bytes) -> str:
    return b64encode(hashlib.sha256(content).digest()).decode("ascii")


def _bare_key_id(key: str) -> str:
    """The id in a key's ARN; an id stays as it is."""
    return key.rpartition("/")[2]
