"""Fixtures for tests that talk to a real Envoy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from signalbox.envoy.binary import find_envoy
from signalbox.errors import SetupError

from .stack import Stack, running_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without an Envoy these tests are skipped and say how to get one; in CI that is a failure."""
    try:
        find_envoy()
    except SetupError as problem:
        if os.environ.get("CI") == "true":
            raise
        for item in items:
            if "dataplane" in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=str(problem)))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One gateway for all tests that leave it as they found it."""
    with running_stack() as running:
        yield running


@pytest.fixture
def test_id() -> str:
    """A value for the x-test-id header: mocks record it, so a test finds its own requests."""
    return uuid4().hex
