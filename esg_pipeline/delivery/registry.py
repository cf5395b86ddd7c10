"""Which store a URL means: one line per kind of place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from esg_pipeline.delivery.folder import FolderPlace
from esg_pipeline.delivery.readers import open_cipher, reading_group
from esg_pipeline.delivery.store import Store
from esg_pipeline.settings import Settings, SettingsError

S3ClientFactory = Callable[[], Any]
"""Makes a boto3 S3 client from the environment; boto3 ships no types."""


def open_store(settings: Settings, *, s3_client: S3ClientFactory | None = None) -> Store:
    """Open the store of `ESG_STORE_URL`; nothing is written there yet.

    Args:
        s3_client: For an `s3://` store; see `s3.bounded_client`. Default: boto3 itself.

    Raises:
        SettingsError: keys, group or endpoint that cannot be used.
    """
    open_kind = _KINDS[urlsplit(settings.store_location).scheme]
    return open_kind(settings, s3_client)


def _open_folder(settings: Settings, _: S3ClientFactory | None) -> Store:
    root = Path(unquote(urlsplit(settings.store_location).path))
    return Store(FolderPlace(root, group=reading_group(settings)), open_cipher(settings))


def _open_s3(settings: Settings, s3_client: S3ClientFactory | None) -> Store:
    # Here, because boto3 takes half a second to import and a folder store never needs it.
    from esg_pipeline.delivery.s3 import S3Place, boto3_client, bounded_client  # noqa: PLC0415

    parts = urlsplit(settings.store_location)
    if not parts.netloc:
        raise SettingsError(["ESG_STORE_URL: names no bucket; write s3://bucket/prefix"])
    prefix = unquote(parts.path).strip("/")
    place = S3Place(
        bounded_client(s3_client or boto3_client),
        parts.netloc,
        f"{prefix}/" if prefix else "",
        kms_key_id=settings.store_kms_key_id,
    )
    return Store(place, open_cipher(settings), sealing=bool(settings.store_recipients))


_KINDS: dict[str, Callable[[Settings, S3ClientFactory | None], Store]] = {
    "file": _open_folder,
    "s3": _open_s3,
}
