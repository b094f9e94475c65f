"""`signalbox route --explain` against the families' own packages: every candidate of every body of a corpus."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from signalbox.cli import main
from signalbox.tokens.catalogue import SHIPPED, find_family, find_shipped
from tests.published import HOME, folder
from tests.unit.tokens.bodies import corpus
from tests.unit.tokens.references import MODELS, mistral


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One router over a model of each family, each vocabulary where the published package has it."""
    tokenizers = {}
    for name, shipped in SHIPPED.items():
        tokenizers[name] = {"file": str(folder(shipped.package) / shipped.file)}
    document = {
        "version": 1,
        "providers": {"p": {"endpoint": "http://127.0.0.1:1/v1", "location": "local"}},
        "models": {name: {"provider": "p", "modalities": ["text", "image"]} for name in MODELS},
        "tokenizers": tokenizers,
        "routers": {"every": {"models": list(MODELS)}},
        "default_router": "every",
    }
    file = tmp_path_factory.mktemp("corpus") / "policy.yaml"
    file.write_text(json.dumps(document))
    return file


def explained(body: dict[str, Any], policy: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[int, bool]]:
    """Model -> (prompt_tokens, estimated), as the command prints them."""
    file = policy.with_name("body.json")
    file.write_text(json.dumps({"model": "auto", **body}, ensure_ascii=False))
    assert main(["route", str(file), "--policy", str(policy), "--explain"]) == 0
    shown = json.loads(capsys.readouterr().out)["ranking"]["candidates"]
    return {candidate["model"]: (candidate["prompt_tokens"], candidate["estimated"]) for candidate in shown}


def test_every_candidates_count_is_that_of_its_own_package_or_marked_estimated(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compared: Counter[str] = Counter()
    wrong = []
    for label, body in corpus():
        shown = explained(body, policy, capsys)
        assert shown.keys() == MODELS.keys()
        for model, reference in MODELS.items():
            tokens, estimated = shown[model]
            expected = reference(body)
            if estimated != (expected is None) or (expected is not None and tokens != expected):
                wrong.append(f"{label}, {model}: {tokens}{' estimated' if estimated else ''}, expected {expected}")
            compared["estimated" if expected is None else "exact"] += 1
    assert not wrong, "\n".join(wrong[:20])
    assert compared["exact"] > 2500
    assert compared["estimated"] > 1500


def test_the_corpus_has_a_model_of_every_vocabulary_and_template() -> None:
    families = [find_family(model) for model in MODELS]
    assert {family.vocabulary for family in families if family} >= SHIPPED.keys()
    templates = {family.template for family in families if family}
    assert {
        "openai",
        "chatml",
        "qwen2",
        "qwen2.5",
        "llama3",
        "llama3.1",
        "mistral-v3",
        "mistral-v7",
        "deepseek",
    } <= templates


@pytest.mark.parametrize("vocabulary", SHIPPED)
def test_the_packages_ship_each_vocabulary_where_the_catalogue_says(
    vocabulary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(SHIPPED[vocabulary].package)
    monkeypatch.syspath_prepend(str(HOME))
    assert find_shipped(vocabulary) is not None


def test_mistral_small_3_counts_exactly_once_its_vocabulary_is_mounted(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # No package ships it; the same tokens under the version its own file states have the same chat encoding.
    tekken = json.loads((folder("mistral_common") / "data/tekken_240911.json").read_bytes())
    tekken["config"]["version"] = "v7"
    (tmp_path / "tekken.json").write_text(json.dumps(tekken))
    document = json.loads(policy.read_text())
    document["tokenizers"] = {"mistral-tekken-v7": {"file": str(tmp_path / "tekken.json")}}
    mounted = tmp_path / "policy.yaml"
    mounted.write_text(json.dumps(document))
    reference = mistral(tmp_path / "tekken.json")
    for label, body in list(corpus())[:12]:
        expected = reference(body)
        tokens, estimated = explained(body, mounted, capsys)["mistral-small-2506"]
        assert estimated == (expected is None), label
        assert expected in (None, tokens), label
