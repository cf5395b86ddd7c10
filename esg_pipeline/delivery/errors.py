"""What can go wrong between finished files and their readers.

    DeliveryError            the store refused, or gave back something else than was written
    ├── MissingFromStore     there is nothing under this name
    └── DeliveryInvalid      what lies there is not a whole, signed, encrypted delivery

Every message is one line for the person who must act: what, where, what to do. Never an account
name, never a key.
"""


class DeliveryError(Exception):
    """The store refused, or gave back something else than was written; nothing new counts."""


class MissingFromStore(DeliveryError):
    """There is nothing under this name in the store."""


class DeliveryInvalid(DeliveryError):
    """What lies in the store is damaged, unsigned, unencrypted or not what it says it is."""
