"""What the sidecar said about a request, as it arrives in the access log: dynamic metadata of the stream.

The other end of `extproc.mutate`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from signalbox.record import Record, decode

POLICY_ID = re.compile(r"[0-9a-f]{12}")
_DECISION_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


def read_record(fields: Mapping[str, Any]) -> Record | None:
    """Return the record among the members of the namespace `signalbox`; None if there is none that can be read."""
    # One pass over what is there: asking a protobuf map for a missing key would add it.
    text = text_of(dict(fields.items()).get("record"))
    if text is None:
        return None
    try:
        record = decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return record if _DECISION_ID.fullmatch(record.id) else None


def text_of(value: Any) -> str | None:
    """Return the text of a protobuf Value; None if it holds anything else, or nothing."""
    return value.string_value or None if value is not None and value.WhichOneof("kind") == "string_value" else None


def match(shape: re.Pattern[str], text: str | None) -> str | None:
    """Return `text` if it has the shape from beginning to end."""
    return text if text and shape.fullmatch(text) else None
