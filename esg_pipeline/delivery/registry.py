"""Which store a URL means: one line per kind of place.

The only module here that reads settings.
"""

import grp
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from esg_pipeline.delivery.encryption import AgeCipher, make_identity, read_identities
from esg_pipeline.delivery.folder import FolderPlace
from esg_pipeline.delivery.layout import EDITIONS
from esg_pipeline.delivery.store import Store
from esg_pipeline.settings import Settings, SettingsError

log = logging.getLogger(__name__)

S3ClientFactory = Callable[[], Any]
"""Gives a boto3 S3 client; boto3 ships no types."""


def open_store(settings: Settings, *, s3_client: S3ClientFactory | None = None) -> Store:
    """Open the store of `ESG_STORE_URL`; nothing is written there yet.

    Args:
        s3_client: For an `s3://` store; default a client made from the environment, as in every
            AWS tool.

    Raises:
        SettingsError: keys, group or endpoint that cannot be used.
    """
    open_kind = _KINDS[urlsplit(settings.store_location).scheme]
    return open_kind(settings, s3_client)


def open_cipher(settings: Settings) -> AgeCipher:
    """The cipher for everything this pipeline keeps; its own key is made once if none is set.

    Raises:
        SettingsError: a key file or recipient that cannot be used.
    """
    path = settings.store_identity or settings.keys_folder / "age_identity.txt"
    if settings.store_identity is None and not path.exists():
        if _holds_editions(settings.store_location):
            if not settings.store_recipients:
                raise SettingsError(
                    [
                        f"{path}: is gone, and it is the only key that opens the files on the "
                        "store. Restore it from the backup; to begin with a new key, make it with "
                        f"`age-keygen -o {path}`"
                    ]
                )
            log.warning(
                "%s is gone and a new key is made, so that today's report is delivered. Older "
                "files open only for their readers: restore the old key from the backup and add "
                "it to this file.",
                path,
            )
        try:
            make_identity(path)
        except OSError as error:
            raise SettingsError(
                [f"{path}: {error.strerror}; the pipeline's own age key is kept there"]
            ) from None
    return AgeCipher(read_identities(path), settings.store_recipients)


def _holds_editions(store_url: str) -> bool:
    """Whether a folder store has files that some key was made for."""
    parts = urlsplit(store_url)
    return parts.scheme == "file" and (Path(unquote(parts.path)) / EDITIONS).is_dir()


def _open_folder(settings: Settings, _: S3ClientFactory | None) -> Store:
    root = Path(unquote(urlsplit(settings.store_location).path))
    group = None
    if settings.store_group is not None:
        try:
            group = grp.getgrnam(settings.store_group).gr_gid
        except KeyError:
            raise SettingsError(
                [f"ESG_STORE_GROUP: there is no group {settings.store_group!r} on this machine"]
            ) from None
    return Store(FolderPlace(root, group=group), open_cipher(settings))


def _open_s3(settings: Settings, s3_client: S3ClientFactory | None) -> Store:
    # Here, because boto3 takes half a second to import and a folder store never needs it.
    from esg_pipeline.delivery.s3 import S3Place, client_from_environment  # noqa: PLC0415

    parts = urlsplit(settings.store_location)
    if not parts.netloc:
        raise SettingsError(["ESG_STORE_URL: names no bucket; write s3://bucket/prefix"])
    prefix = unquote(parts.path).strip("/")
    place = S3Place(
        (s3_client or client_from_environment)(),
        parts.netloc,
        f"{prefix}/" if prefix else "",
        kms_key_id=settings.store_kms_key_id,
    )
    return Store(place, open_cipher(settings), sealing=bool(settings.store_recipients))


_KINDS: dict[str, Callable[[Settings, S3ClientFactory | None], Store]] = {
    "file": _open_folder,
    "s3": _open_s3,
}
