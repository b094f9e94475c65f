"""Alerts and dashboard ask for metrics that exist, with labels that they have."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox import telemetry

from .helm import CHART, manifests, one

METRICS = {metric.name: metric for metric in telemetry.METRICS}
TARGET_LABELS = {"namespace", "pod"}  # of whoever scrapes
ALERTS: list[dict[str, Any]] = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
DASHBOARD: dict[str, Any] = json.loads((CHART / "files" / "dashboard.json").read_text())


def queries() -> Iterator[tuple[str, str]]:
    for alert in ALERTS:
        yield alert["alert"], alert["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def metric_of(name: str) -> telemetry.Metric:
    """The metric a series belongs to: histograms have three kinds of them."""
    for suffix in ("", "_bucket", "_sum", "_count"):
        base = name.removesuffix(suffix) if suffix else name
        if base in METRICS and (suffix == "") == (METRICS[base].kind != "histogram"):
            return METRICS[base]
    raise AssertionError(f"no metric is called {name}")


@pytest.mark.parametrize(("title", "query"), list(queries()), ids=lambda text: text if len(text) < 40 else "")
def test_every_query_asks_for_metrics_and_labels_that_exist(title: str, query: str) -> None:
    asked = re.findall(r"\b((?:signalbox|gen_ai)_[a-z_]+)\{([^}]*)\}", query)
    assert asked, f"{title}: {query}"
    labels = {label for name, _ in asked for label in metric_of(name).labels}
    for _, matchers in asked:
        assert set(re.findall(r"(\w+)[=!]", matchers)) <= labels | TARGET_LABELS, title
    for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", query):
        assert {each.strip() for each in grouped.split(",")} <= labels | TARGET_LABELS | {"le"}, title


def test_label_values_that_alerts_match_are_values_that_occur() -> None:
    known = {str(value) for enum in (telemetry.UndecidedCause, telemetry.AttemptOutcome, telemetry.ReloadOutcome,
                                     telemetry.WorkerState) for value in enum}  # fmt: skip
    text = " ".join(query for _, query in queries())
    matched = re.findall(r'\b(?:cause|outcome|state)=~?"([^"]+)"', text)
    assert matched
    assert {value for each in matched for value in each.split("|")} <= known


def test_legends_name_labels_that_the_query_keeps() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            kept = {
                label.strip() for each in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in each.split(",")
            }
            assert named <= kept | TARGET_LABELS, panel["title"]


def test_every_alert_says_what_it_means_and_where_to_look() -> None:
    assert len({alert["alert"] for alert in ALERTS}) == len(ALERTS)
    for alert in ALERTS:
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        assert alert["annotations"].keys() == {"summary", "description"}
        assert "NAMESPACE" in alert["expr"]


def test_alerts_are_about_the_releases_own_namespace_and_can_be_left_out(tmp_path: Path) -> None:
    settings = ("metrics.prometheusRule.enabled=true", "metrics.prometheusRule.disabled={SignalboxRolledBack}")
    rendered = manifests(settings=settings)
    (group,) = one("PrometheusRule", rendered)["spec"]["groups"]
    assert len(group["rules"]) == len(ALERTS) - 1
    assert all('namespace="llm"' in rule["expr"] and "NAMESPACE" not in rule["expr"] for rule in group["rules"])


def test_prometheus_itself_takes_the_rules(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        assert os.environ.get("CI") != "true", "no promtool"
        pytest.skip("no promtool: install prometheus")
    rules = tmp_path / "rules.yaml"
    rendered = manifests(settings=("metrics.prometheusRule.enabled=true",))
    rules.write_text(yaml.safe_dump(one("PrometheusRule", rendered)["spec"]))
    done = subprocess.run([promtool, "check", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_the_dashboard_is_installed_as_it_is() -> None:
    rendered = manifests(settings=("metrics.dashboard.enabled=true",))
    installed = one("ConfigMap", rendered, "-dashboard")
    assert installed["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(installed["data"]["signalbox.json"]) == DASHBOARD
