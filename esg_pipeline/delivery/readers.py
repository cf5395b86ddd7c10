"""Who may read what is delivered: the age keys it is encrypted for, and the group of a folder.

On S3 the bucket's policy and its KMS key decide, too. Nothing is encrypted here.
"""

import grp
import logging
from pathlib import Path
from urllib.parse import unquote, urlsplit

from esg_pipeline.delivery.encryption import AgeCipher, make_identity, read_identities
from esg_pipeline.delivery.layout import EDITIONS
from esg_pipeline.settings import Settings, SettingsError

log = logging.getLogger(__name__)


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


def reading_group(settings: Settings) -> int | None:
    """The id of the group that may read a folder's files, if one is set.

    Raises:
        SettingsError: there is no such group.
    """
    if settings.store_group is None:
        return None
    try:
        return grp.getgrnam(settings.store_group).gr_gid
    except KeyError:
        raise SettingsError(
            [f"ESG_STORE_GROUP: there is no group {settings.store_group!r} on this machine"]
        ) from None
