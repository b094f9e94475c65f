"""What can go wrong on purpose, and how it is spelled in headers and over the control endpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class FaultKind(StrEnum):
    NONE = "none"  # behave, even where a standing fault says otherwise
    STATUS = "status"  # answer with this status, in the vendor's error shape
    RESET = "reset"  # TCP reset before any byte of the answer
    HANG = "hang"  # never answer
    SLOW_HEADERS = "slow-headers"  # seconds before the answer starts
    EARLY_HEADERS = "early-headers"  # headers at once, this many seconds before the first event or body byte
    SLOW_CHUNKS = "slow-chunks"  # seconds between two events of a stream
    CUT = "cut"  # drop the connection after N events of a stream, or N bytes of a JSON body
    ERROR_EVENT = "error-event"  # an error event after N events of a stream, which then ends


SECONDS = frozenset({FaultKind.SLOW_HEADERS, FaultKind.EARLY_HEADERS, FaultKind.SLOW_CHUNKS})
COUNTS = frozenset({FaultKind.CUT, FaultKind.ERROR_EVENT})
MAX_SECONDS = 3600.0
SPELLINGS = (
    "a status from 400 to 599, none, reset, hang, slow-headers=SECONDS, early-headers=SECONDS, "
    "slow-chunks=SECONDS, cut=N, error-event=N"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave. `value` is the status, the seconds or the count; 0 where the kind needs none."""

    kind: FaultKind
    value: float = 0.0

    def seconds(self, kind: FaultKind) -> float:
        """How long to wait for `kind`; 0 when this fault is another one."""
        return self.value if self.kind is kind else 0.0

    def count(self, kind: FaultKind) -> int | None:
        """After how many events or bytes `kind` strikes; None when this fault is another one."""
        return int(self.value) if self.kind is kind else None

    def __str__(self) -> str:
        if self.kind is FaultKind.STATUS:
            return f"{self.value:g}"
        return f"{self.kind}={self.value:g}" if self.kind in SECONDS | COUNTS else str(self.kind)


NO_FAULT = Fault(FaultKind.NONE)


@lru_cache(maxsize=256)
def parse_fault(text: str) -> Fault:
    """The fault that `text` spells, e.g. `503`, `reset` or `cut=2`.

    Raises ValueError, with all spellings, when it spells none.
    """
    name, given, number = text.strip().partition("=")
    try:
        if name.isdecimal() and not given:
            return Fault(FaultKind.STATUS, _within(name, 400, 599, whole=True))
        kind = FaultKind(name)
        if kind in SECONDS:
            return Fault(kind, _within(number, 0, MAX_SECONDS, whole=False))
        if kind in COUNTS:
            return Fault(kind, _within(number, 0, math.inf, whole=True))
        if kind is FaultKind.STATUS or given:
            raise ValueError
        return Fault(kind)
    except ValueError:
        raise ValueError(f"unknown fault {text!r}; expected {SPELLINGS}") from None


def fault_for(headers: Mapping[str, str], own_header: str, standing: Fault) -> Fault:
    """The fault of one request: its header for this provider, else its header for any, else the standing one.

    own_header: `x-mock-fault-NAME`, lower-case.
    Raises ValueError when the header spells none.
    """
    text = headers.get(own_header) or headers.get("x-mock-fault")
    if not text:
        return standing
    return parse_fault(text)


def _within(text: str, low: float, high: float, *, whole: bool) -> float:
    value = float(int(text)) if whole else float(text)
    if not low <= value <= high:
        raise ValueError
    return value
