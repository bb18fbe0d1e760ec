"""Keys of nodes and of the operator: made here, kept as hashes only."""

import hashlib
import hmac
import secrets

KEY_BYTES = 32


def new_key(prefix: str) -> str:
    """Return a fresh key of 256 random bits, with a prefix that tells what it is for."""
    return f"{prefix}_{secrets.token_urlsafe(KEY_BYTES)}"


def key_hash(key: str) -> str:
    """Return what is kept of a key.

    Plain SHA-256: the keys are 256 random bits, so there is nothing that a
    slow hash would protect.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_matches(key: str, kept_hash: str) -> bool:
    """Tell in constant time whether a key is the one of which the hash was kept."""
    return hmac.compare_digest(key_hash(key), kept_hash)
