"""Delivery: finished files to their readers, encrypted, verified, in editions.

Give it plain contents and facts; it gives back a signed manifest, or an error and nothing changed.
It knows no account and asks no API.
"""

from esg_pipeline.delivery.errors import DeliveryError, DeliveryInvalid, MissingFromStore
from esg_pipeline.delivery.manifest import DeliveryFacts, Manifest
from esg_pipeline.delivery.publishing import deliver
from esg_pipeline.delivery.registry import open_store
from esg_pipeline.delivery.removal import delete_delivery, deliveries
from esg_pipeline.delivery.signing import Signer, TrustedKeys, open_signer, trusted_keys
from esg_pipeline.delivery.store import Store
from esg_pipeline.delivery.undelivered import SealedDelivery, pending_sealed, seal_locally
from esg_pipeline.delivery.verification import VerifiedDelivery, editions, fetch, verify

__all__ = [
    "DeliveryError",
    "DeliveryFacts",
    "DeliveryInvalid",
    "Manifest",
    "MissingFromStore",
    "SealedDelivery",
    "Signer",
    "Store",
    "TrustedKeys",
    "VerifiedDelivery",
    "delete_delivery",
    "deliver",
    "deliveries",
    "editions",
    "fetch",
    "open_signer",
    "open_store",
    "pending_sealed",
    "seal_locally",
    "trusted_keys",
    "verify",
]
