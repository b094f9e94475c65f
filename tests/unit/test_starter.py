"""The policies that `signalbox up` starts with."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalbox.policy.load import load_text
from signalbox.up import starter


def test_the_demo_policy_is_one_the_loader_takes_without_a_warning(tmp_path: Path) -> None:
    urls = {name: f"http://127.0.0.1:{port}/v1" for port, name in enumerate(starter.MOCKS, 9000)}
    loaded = load_text(starter.mock_policy(urls, tmp_path / "keys").encode(), "policy.yaml", check_files=True)
    assert loaded.warnings == ()
    assert loaded.policy.providers["home"].is_local


@pytest.mark.parametrize("known", starter.KNOWN_PROVIDERS, ids=lambda known: known.name)
def test_one_key_is_enough_for_a_policy(tmp_path: Path, known: starter.KnownProvider) -> None:
    keys = starter.found_keys({known.variable: " secret \n", "PATH": "/bin"})
    files = starter.write_keys(keys, tmp_path / "keys")
    loaded = load_text(starter.provider_policy(files).encode(), "policy.yaml", check_files=True)
    assert list(loaded.policy.providers) == [known.name]
    assert files[known.name].read_text() == "secret"
    assert files[known.name].stat().st_mode & 0o777 == 0o600


def test_an_empty_variable_is_no_key() -> None:
    assert starter.found_keys({"OPENAI_API_KEY": ""}) == {}
