"""A Collector without processes around it, and what feeds it."""

from __future__ import annotations

import json
from typing import Any

from access_log_entries import message

from signalbox.collector.log import LogWriter
from signalbox.collector.metrics import Metrics
from signalbox.collector.receiver import Receiver
from signalbox.collector.state import Collector
from signalbox.policy.schema import Policy
from signalbox.telemetry import AccessLog

POLICY = {
    "version": 1,
    "providers": {
        "cloud": {"endpoint": "https://api.cloud.test/v1"},
        "spare": {"endpoint": "https://api.spare.test/v1"},
        "local": {"endpoint": "http://127.0.0.1:8000/v1", "location": "local"},
    },
    "models": {
        "gpt-large": {"provider": "cloud"},
        "gpt-small": {"provider": "spare"},
        "qwen": {"provider": "local"},
    },
    "engines": {"judge": {"kind": "classifier", "bundle": "/models/judge"}},
    "routers": {
        "coding": {
            "tasks": [{"name": "bug-fixing", "models": ["gpt-large"]}],
            "rules": [
                {"name": "stack-trace", "when": {"keywords": ["stack trace"]}, "task": "bug-fixing"},
                {"when": {"images": True}, "models": ["qwen"]},
            ],
            "default_task": "bug-fixing",
        }
    },
}


STEERING = ("circuit", "shift", "rollout_step", "rollback")


class LineList(LogWriter):
    """A log writer that keeps its lines."""

    def __init__(self) -> None:
        super().__init__(descriptor=-1)
        self.raw: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.raw.append(line)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Lines about requests and troubles, without those about what follows from them."""
        return [line for line in map(json.loads, self.raw) if line["event"] not in STEERING]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.raw) if line["event"] == name]


class Bench:
    """A Collector with a clock the test turns, fed through the Receiver."""

    def __init__(self) -> None:
        self.now_seconds = 1000.0
        self.log = LineList()
        self.collector = Collector(Metrics(), self.log, clock=lambda: self.now_seconds)
        self.collector.apply_policy(Policy.model_validate(POLICY), "0123456789ab" + 52 * "0")
        self.receiver = Receiver(self.collector)

    def requests(self, *entries: Any) -> None:
        self.receiver.take(message("request", *entries), AccessLog.OTHER)

    def attempts(self, *entries: Any) -> None:
        self.receiver.take(message("attempt", *entries), AccessLog.OTHER)

    def later(self, seconds: float) -> None:
        self.now_seconds += seconds
        self.collector.tick()

    def value(self, metric: str, **labels: str) -> float | None:
        return self.collector.metrics.registry.get_sample_value(metric, labels)

    def series(self, metric: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Every series of a metric that is not zero, by its labels."""
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for family in self.collector.metrics.registry.collect()
            for sample in family.samples
            if sample.name == metric and sample.value
        }


def status_message(**changes: Any) -> dict[str, Any]:
    """A healthy supervisor's status."""
    message = {
        "type": "status",
        "workers": {"wanted": 2, "ready": 2, "restarts": 0},
        "policy": {
            "sha256": "ab" * 32,
            "loaded_at": 1_795_252_119.25,
            "error": None,
            "reloads": {"applied": 0, "refused": 0},
        },
        "draining": False,
    }
    for key, value in changes.items():
        message[key] = {**message[key], **value} if isinstance(value, dict) else value  # type: ignore[dict-item]
    return message
