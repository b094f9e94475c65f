"""Key files that come after Envoy was told of them."""

from __future__ import annotations

from pathlib import Path

from signalbox.policy.schema import Policy
from signalbox.serve.keys import KeyFiles


def policy(*files: Path) -> Policy:
    providers = {
        f"p{number}": {"endpoint": "http://127.0.0.1/v1", "key": {"file": str(file)}}
        for number, file in enumerate(files)
    }
    return Policy.model_validate({"version": 1, "providers": providers, "models": {"m": {"provider": "p0"}}})


def test_a_key_is_named_anew_each_time_it_comes_and_not_in_between(tmp_path: Path) -> None:
    early, late = tmp_path / "early", tmp_path / "late"
    early.write_text("sk-1")
    keys, both = KeyFiles(), [policy(early, late)]
    assert keys.look(both) == keys.look(both) == frozenset()
    late.write_text("sk-2")
    assert keys.look(both) == keys.look(both) == {str(late)}
    late.unlink()
    assert keys.look(both) == {str(late)}
    late.write_text("sk-3")
    assert keys.look(both) == keys.look(both) == frozenset()


def test_keys_that_cannot_be_seen_from_here_are_named_as_the_policy_does(tmp_path: Path) -> None:
    keys = KeyFiles()
    assert {keys.look([policy(tmp_path / "nowhere" / "key")]) for _ in range(5)} == {frozenset()}


def test_a_key_that_no_policy_names_any_more_is_forgotten(tmp_path: Path) -> None:
    keys, first, second = KeyFiles(), tmp_path / "first", tmp_path / "second"
    second.write_text("sk")
    keys.look([policy(first)])
    first.write_text("sk")
    assert keys.look([policy(first)]) == {str(first)}
    assert keys.look([policy(second)]) == frozenset()
