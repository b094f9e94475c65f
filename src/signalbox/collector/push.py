"""Pushes the metrics to a Prometheus Pushgateway, from a thread, for places nothing can scrape."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from prometheus_client import CollectorRegistry, push_to_gateway

from signalbox.policy.world import Push
from signalbox.telemetry import PushOutcome

TIMEOUT_SECONDS = 10.0  # of each wait for the gateway; never longer than the interval
LAST_PUSH_SECONDS = 1.0  # on the way out nobody waits longer than this


class Pusher:
    """Pushes on the policy's interval. `use` and `close` may be called from the event loop; nothing is ever raised.

    Several pods push under one job, each with its own `instance`: otherwise each would replace the others' figures.
    """

    def __init__(self, registry: CollectorRegistry, instance: Callable[[], str] = socket.gethostname) -> None:
        self._registry = registry
        self._instance = instance()
        self._section: Push | None = None
        self._changed = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(PushOutcome, 0)
        self._problem = ""

    @property
    def counts(self) -> dict[PushOutcome, int]:
        """Pushes so far, by what came of them."""
        with self._lock:
            return dict(self._counts)

    def take_problem(self) -> str:
        """Return what the last failure was, a word without addresses, and forget it; empty if nothing failed."""
        with self._lock:
            problem, self._problem = self._problem, ""
        return problem

    def use(self, section: Push | None) -> None:
        """Push as this section says from now on, at once and then on its interval; None ends it."""
        if section == self._section:
            return
        self._section = section
        self._changed.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._push_forever, name="push", daemon=True)
            self._thread.start()

    def close(self, deadline_seconds: float = 2.0) -> None:
        """Push once more, so that the end is seen, and stop; a gateway that is slow then is left behind."""
        self._closing = True
        self._changed.set()
        if self._thread is not None:
            self._thread.join(deadline_seconds)

    def _push_forever(self) -> None:
        while not self._closing:
            self._changed.clear()
            section = self._section
            if section is not None:
                self._push(section, min(section.interval_seconds, TIMEOUT_SECONDS))
            self._changed.wait(None if section is None else section.interval_seconds)
        if self._section is not None:
            self._push(self._section, LAST_PUSH_SECONDS)

    def _push(self, section: Push, timeout_seconds: float) -> None:
        outcome, problem = PushOutcome.OK, ""
        try:
            push_to_gateway(
                section.url,
                job=section.job,
                registry=self._registry,
                grouping_key={"instance": self._instance},
                timeout=timeout_seconds,
            )
        except Exception as failure:  # noqa: BLE001 - whatever a gateway answers, it costs one push
            outcome, problem = PushOutcome.FAILED, type(failure).__name__
        with self._lock:
            self._counts[outcome] += 1
            self._problem = problem or self._problem
