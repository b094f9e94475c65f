"""docs/metrics.md and telemetry.py list the same metrics, label values and log fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from signalbox import telemetry
from signalbox.collector.live.rollout import RollbackReason
from signalbox.types import EngineOutcome, PinOutcome, Reason
from signalbox.world import CircuitState

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
LINES = [line for line in TEXT.splitlines() if line.startswith("| `")]
ROWS = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in LINES]


def words(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


DOCUMENTED = {row[0].strip("` "): row for row in ROWS if len(row) == 4 and row[1] in ("counter", "gauge", "histogram")}
DECLARED = {metric.name: metric for metric in telemetry.METRICS}


def test_the_same_metrics_are_declared_and_documented():
    assert set(DOCUMENTED) == set(DECLARED)


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_a_metric_is_documented_as_it_is_declared(name):
    metric = DECLARED[name]
    _, kind, labels, meaning = DOCUMENTED[name]

    assert (kind, words(labels), meaning) == (metric.kind, metric.labels, metric.help)


@pytest.mark.parametrize("metric", telemetry.METRICS, ids=lambda metric: metric.name)
def test_a_metric_follows_the_naming_rules(metric):
    assert re.fullmatch(r"(signalbox|gen_ai)_[a-z0-9_]+", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert (metric.kind == "histogram") == bool(metric.buckets)
    assert list(metric.buckets) == sorted(metric.buckets)


@pytest.mark.parametrize("values", [telemetry.UndecidedCause, telemetry.AttemptOutcome, Reason, telemetry.TokenType,
                                    telemetry.ReloadOutcome, telemetry.WorkerState, telemetry.AccessLog, CircuitState,
                                    RollbackReason, telemetry.SourceOutcome, PinOutcome,
                                    telemetry.FeedbackVerdict, telemetry.JournalOutcome, telemetry.PushOutcome,
                                    telemetry.StoreFault, telemetry.Event, EngineOutcome])  # fmt: skip
def test_every_value_of_a_label_is_documented(values):
    assert {value for value in values if f"`{value}`" not in TEXT} == set()


def test_the_log_fields_are_documented_as_they_are_declared():
    table = TEXT.partition("| field | what it says |")[2].partition("\n\n")[0]
    documented = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, flags=re.MULTILINE)

    assert documented == list(telemetry.LOG_FIELDS.items())


def test_every_query_names_metrics_that_exist():
    suffixes = "(_bucket|_sum|_count)?"
    known = re.compile(f"({'|'.join(DECLARED)}){suffixes}")
    queries = TEXT.partition("PromQL")[2].partition("## The request log")[0]
    asked = set(re.findall(r"\b(?:signalbox|gen_ai)_[a-z_]+(?=[\[{])", queries))

    assert len(asked) >= 6
    assert {name for name in asked if not known.fullmatch(name)} == set()
