"""Choices by hash: the same identity always gets the same number, and different questions independent ones."""

from __future__ import annotations

import hashlib
from functools import lru_cache

RESOLUTION_BITS = 53  # what a float holds exactly; (n + 0.5) / 2**53 is never 0 and never 1


@lru_cache(maxsize=4096)  # of names of the policy only, so this is plenty
def hash_key(*parts: str) -> bytes:
    """Return a key for `uniform`. NUL cannot stand in a name, so no two sequences of names share one."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=32).digest()


def uniform(identity: bytes, key: bytes) -> float:
    """Return a number in (0, 1), uniform over identities and independent between keys."""
    digest = hashlib.blake2b(identity, digest_size=8, key=key).digest()
    return ((int.from_bytes(digest, "big") >> (64 - RESOLUTION_BITS)) + 0.5) / 2.0**RESOLUTION_BITS


def identity_of(session: str) -> bytes:
    """Return a session as bytes; headers may hold what is no valid Unicode."""
    return session.encode("utf-8", "surrogatepass")
