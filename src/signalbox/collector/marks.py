"""What a worker's record says beside the decision: pins, shadows, what kept it on the site, a store that was silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from signalbox import telemetry
from signalbox.collector.names import Names, close
from signalbox.record import Record
from signalbox.telemetry import Metric, StoreFault
from signalbox.types import ImageAsked, LocalBy, PersonalData, PinOutcome

_PINS = frozenset(PinOutcome)
_STORE_FAULTS = frozenset(StoreFault)
_LOCAL_BY = frozenset(LocalBy) | frozenset(PersonalData)
_IMAGE_ASKED = frozenset(ImageAsked)


class Children(Protocol):
    """A metric's children by label values; `metrics.Family` is one."""

    def at(self, *values: str) -> Any: ...


class Marks:
    """Counts them. family: returns the children of a metric that `telemetry` declares."""

    def __init__(self, family: Callable[[Metric], Children]) -> None:
        self._affinity = family(telemetry.AFFINITY)
        self._shadow = family(telemetry.SHADOW_DECISIONS)
        self._local_only = family(telemetry.LOCAL_ONLY)
        self._images = family(telemetry.IMAGES_ASKED)
        self._store_faults = family(telemetry.STORE_FAULTS)
        for fault in StoreFault:  # a series that appears with its first increment hides that increment from rate()
            self._store_faults.at(fault)

    def count(self, record: Record, names: Names) -> None:
        """Count one record, decision or refusal.

        The shadow is compared with what was decided, not with what answered after fallbacks: two opinions on the same
        request.
        """
        if record.store:
            self._store_faults.at(close(record.store, _STORE_FAULTS)).inc()
        if record.error:
            return
        router = close(record.router, names.routers)
        if record.pin:
            self._affinity.at(router, close(record.pin, _PINS)).inc()
        for by in record.personal or (record.local_by,):
            if by:
                self._local_only.at(router, close(by, _LOCAL_BY)).inc()
        if record.image_asked:
            served = "true" if record.image_served else "false"
            self._images.at(router, close(record.image_asked, _IMAGE_ASKED), served).inc()
        if record.shadow is not None and record.chain:
            _, model = record.chain[0]
            _, shadow_model = record.shadow
            self._shadow.at(router, close(model, names.models), close(shadow_model, names.models)).inc()
