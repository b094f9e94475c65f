"""Without Helm these tests are skipped and say how to get it; in CI that is a failure."""

from __future__ import annotations

import os

import pytest

from .helm import VARIABLE, find_helm
from .report import LINES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if LINES:
        terminalreporter.section("the pod test")
        for line in LINES:
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_helm() is not None:
        return
    reason = f"no Helm: `make tools` fetches it, or set {VARIABLE} to its path"
    if os.environ.get("CI") == "true":
        raise pytest.UsageError(reason)
    for item in items:
        if "tests/chart" in item.nodeid:
            item.add_marker(pytest.mark.skip(reason=reason))
