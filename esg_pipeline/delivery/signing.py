"""The Ed25519 key that signs manifests, and the public keys they are checked with.

The private key is made once, mode 0600, and never leaves its file. Every
`manifest_signing_key*.pub.pem` in the keys folder is trusted: after a rotation the old public key
stays there under another name, so that old manifests can still be checked.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from esg_pipeline.delivery.durable_files import create_private, replace_private
from esg_pipeline.settings import SettingsError

PRIVATE_NAME = "manifest_signing_key.pem"
PUBLIC_NAME = "manifest_signing_key.pub.pem"
TRUSTED_PATTERN = "manifest_signing_key*.pub.pem"


TrustedKeys = Mapping[str, Ed25519PublicKey]
"""Public keys by fingerprint."""


class Signer:
    """Signs manifests.

    Attributes:
        fingerprint: Names the key without giving it away.
        trusted: The keys that earlier manifests are checked with, this one among them.
    """

    def __init__(self, key: Ed25519PrivateKey, trusted: TrustedKeys) -> None:
        self._key = key
        self.fingerprint = fingerprint(key.public_key())
        self.trusted = trusted

    def sign(self, message: bytes) -> str:
        """The signature of a message, base64."""
        return base64.b64encode(self._key.sign(message)).decode("ascii")


def open_signer(keys_folder: Path) -> Signer:
    """Load the signing key, made first if there is none, its public key beside it.

    Raises:
        SettingsError: the file is no Ed25519 key, or the folder cannot be written.
    """
    path = keys_folder / PRIVATE_NAME
    try:
        if not path.exists():
            create_private(
                path,
                Ed25519PrivateKey.generate().private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ),
            )
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("another kind of key")
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        public_path = keys_folder / PUBLIC_NAME
        if not public_path.exists() or public_path.read_bytes() != public:
            replace_private(public_path, public)
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}; the manifest needs this key"]) from None
    except (TypeError, ValueError):
        raise SettingsError(
            [f"{path}: not an unencrypted Ed25519 key in PEM form; restore it from the backup"]
        ) from None
    return Signer(key, trusted_keys(keys_folder))


def trusted_keys(keys_folder: Path) -> TrustedKeys:
    """Load every public key that manifests are checked with.

    Raises:
        SettingsError: there is none, or one is not an Ed25519 public key.
    """
    trusted: dict[str, Ed25519PublicKey] = {}
    for path in sorted(keys_folder.glob(TRUSTED_PATTERN)):
        try:
            key = serialization.load_pem_public_key(path.read_bytes())
            if not isinstance(key, Ed25519PublicKey):
                raise ValueError("another kind of key")
        except (OSError, ValueError):
            raise SettingsError([f"{path}: not an Ed25519 public key in PEM form"]) from None
        trusted[fingerprint(key)] = key
    if not trusted:
        raise SettingsError(
            [
                f"{keys_folder}: no {PUBLIC_NAME} to check manifests with; copy it from the "
                "machine that delivers"
            ]
        )
    return trusted


def fingerprint(key: Ed25519PublicKey) -> str:
    """The name of a public key: `SHA256:` and the hash of its 32 bytes, base64."""
    digest = hashlib.sha256(key.public_bytes_raw()).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def is_signed(message: bytes, signature: str, key: Ed25519PublicKey) -> bool:
    """Whether `signature` (base64) is this key's signature of the message."""
    try:
        key.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True
