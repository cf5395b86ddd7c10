"""age encryption (age-encryption.org/v1) of everything a store keeps.

The pipeline's own key is always among the readers, so that it can read back what it wrote. Plain
bytes are never written to disk here, and a secret key never leaves its file.
"""

import io
import stat
from collections.abc import Sequence
from pathlib import Path

import pyrage  # type: ignore[import-untyped] # ships no types

from esg_pipeline.delivery.durable_files import create_private
from esg_pipeline.delivery.errors import DeliveryInvalid
from esg_pipeline.settings import SettingsError

SECRET_KEY_PREFIX = "AGE-SECRET-KEY-"  # noqa: S105 - the start of every age secret key


class AgeCipher:
    """Encrypts for all readers, decrypts with the pipeline's own identities.

    Args:
        identities: Secret keys in age's text form; the first is the one written for, the others
            open older files after a rotation.
        recipients: Public keys (`age1…`) of the people who may read.

    Raises:
        SettingsError: a key that is none.
    """

    def __init__(self, identities: Sequence[str], recipients: Sequence[str]) -> None:
        try:
            self._identities = [pyrage.x25519.Identity.from_str(each) for each in identities]
        except pyrage.IdentityError as error:
            raise SettingsError([f"ESG_STORE_IDENTITY: not an age secret key ({error})"]) from None
        own = self._identities[0].to_public()
        problems = []
        readers = {str(own): own}
        for key in recipients:
            try:
                readers[key] = pyrage.x25519.Recipient.from_str(key)
            except pyrage.RecipientError as error:
                problems.append(
                    f"ESG_STORE_RECIPIENTS: {key[:16]}… is not an age public key ({error}); "
                    "copy it from the line `# public key:` of the reader's key file"
                )
        if problems:
            raise SettingsError(problems)
        self._readers = list(readers.values())
        self.public_key = str(own)

    @property
    def readers_count(self) -> int:
        """How many keys can open what is written, the pipeline's own included."""
        return len(self._readers)

    def encrypt(self, content: bytes) -> bytes:
        """Encrypt for all readers. Two calls never give the same bytes."""
        sealed = io.BytesIO()
        # encrypt_io into memory: four times as fast as pyrage.encrypt, and unlike with a file an
        # OSError of the disk is not turned into an EncryptError on its way.
        pyrage.encrypt_io(io.BytesIO(content), sealed, self._readers)
        return sealed.getvalue()

    def decrypt(self, content: bytes, *, name: str) -> bytes:
        """Decrypt what was written for the pipeline.

        Raises:
            DeliveryInvalid: not encrypted by age, not for this identity, cut or changed.
        """
        plain = io.BytesIO()
        try:
            pyrage.decrypt_io(io.BytesIO(content), plain, self._identities)
        except (pyrage.DecryptError, OSError) as error:
            raise DeliveryInvalid(f"{name}: {_why_unreadable(content, error)}") from None
        return plain.getvalue()


def _why_unreadable(content: bytes, error: Exception) -> str:
    if not content.startswith(b"age-encryption.org/"):
        return "is not encrypted by age"
    if isinstance(error, pyrage.DecryptError) and "No matching keys" in str(error):
        return (
            "was encrypted for other keys than this identity; "
            "set ESG_STORE_IDENTITY to one it was written for"
        )
    return "is damaged: cut or changed after it was written"


def read_identities(path: Path) -> list[str]:
    """Read the secret keys of an age identity file.

    Raises:
        SettingsError: no such file, readable by everyone, or without a key.
    """
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SettingsError([f"ESG_STORE_IDENTITY: cannot read {path}: {why}"]) from None
    if mode & stat.S_IROTH:
        raise SettingsError(
            [f"ESG_STORE_IDENTITY: {path} is readable by everyone; run chmod 600 {path}"]
        )
    keys = [line.strip() for line in lines if line.startswith(SECRET_KEY_PREFIX)]
    if not keys:
        raise SettingsError([f"ESG_STORE_IDENTITY: {path} holds no line {SECRET_KEY_PREFIX}…"])
    return keys


def make_identity(path: Path) -> None:
    """Make an age identity file as `age-keygen` does, mode 0600, unless there is one."""
    identity = pyrage.x25519.Identity.generate()
    text = f"# public key: {identity.to_public()}\n{identity}\n"
    create_private(path, text.encode("ascii"))
