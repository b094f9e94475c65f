"""Byte-pair vocabularies as they come: a mapping, or the bytes of a .tiktoken file. Checked before anyone encodes."""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping

MAX_RANK = 2**31 - 1
MAX_TOKEN_BYTES = 65535


def parse_ranks(data: bytes) -> dict[bytes, int]:
    """Token -> rank, from the bytes of a .tiktoken file: one line each, the token in base64, a blank, the rank.

    Raises ValueError naming the line that is something else.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line:
            continue
        try:
            encoded, rank = line.split()
            token = a2b_base64(encoded, strict_mode=True)
            if token in ranks:
                raise ValueError
            ranks[token] = int(rank)
        except (ValueError, Base64Error):
            raise ValueError(
                f"vocabulary, line {number}: expected a token in base64, a blank and its rank, none of them twice; "
                "is this a .tiktoken file?"
            ) from None
    return ranks


def check_ranks(ranks: Mapping[bytes, int]) -> None:
    """Raise ValueError unless every text can be encoded: all single bytes, whole ranks from 0, none of them twice."""
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise ValueError(
            f"vocabulary: {len(missing)} of the 256 single bytes are missing, the first is 0x{missing[0]:02x}; "
            "a byte-pair encoder needs them all"
        )
    for token, rank in ranks.items():
        if not 1 <= len(token) <= MAX_TOKEN_BYTES:
            raise ValueError(
                f"vocabulary: rank {rank} has a token of {len(token)} bytes; expected 1 to {MAX_TOKEN_BYTES}"
            )
        if not 0 <= rank <= MAX_RANK:
            raise ValueError(f"vocabulary: rank {rank} is out of range; expected 0 to {MAX_RANK}")
    if len(set(ranks.values())) != len(ranks):
        raise ValueError("vocabulary: two tokens have one rank; ranks are token ids and must differ")
