"""The real weights of all-MiniLM-L6-v2, exported in float32 and int8: vectors that mean what the texts mean."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from signalbox.bundles import Bundle, open_bundle
from signalbox.bundles.export.quantise import token_ids
from signalbox.bundles.session import open_session, run
from signalbox.cli import main

PACKAGE = Path(os.environ.get("SIGNALBOX_WEIGHTS", Path(sys.prefix) / "weights")) / "all_minilm_l6_v2" / "model.zip"

ROUTES = {
    "code": "writing, explaining and fixing computer programs",
    "cooking": "recipes, meals and ingredients",
    "law": "contracts, rights and legal advice",
}
PROMPTS = {
    "My Python loop raises an IndexError, what is wrong?": "code",
    "Refactor this class so that the database connection is injected.": "code",
    "How long do I boil potatoes for a salad?": "cooking",
    "Suggest a dinner with lentils and spinach.": "cooking",
    "Can my landlord end the lease without notice?": "law",
    "Is a verbal agreement with a contractor binding?": "law",
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PACKAGE.is_file():
        pytest.skip(f"{PACKAGE} is missing: make parity")
    folder = tmp_path_factory.mktemp("weights") / "all-MiniLM-L6-v2"
    with zipfile.ZipFile(PACKAGE) as archive:
        archive.extractall(folder)
    return folder


def vectors(bundle: Bundle, texts: list[str]) -> Any:
    session = open_session(bundle.model)
    pooled = [
        run(session, ids)["last_hidden_state"][0].mean(axis=0)
        for ids in token_ids(bundle.path, texts, bundle.manifest.max_tokens)
    ]
    return np.array([vector / np.linalg.norm(vector) for vector in pooled])


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_prompts_find_the_route_that_describes_them(checkpoint: Path, tmp_path: Path, dtype: str) -> None:
    words = ["models", "export", str(checkpoint), "--out", str(tmp_path / "b"), "--dtype", dtype, "--quiet"]
    assert main([*words, "--licence", "apache-2.0"]) == 0
    bundle = open_bundle(tmp_path / "b")
    assert bundle.manifest.max_tokens == 256
    scores = vectors(bundle, list(PROMPTS)) @ vectors(bundle, list(ROUTES.values())).T
    assert [list(ROUTES)[best] for best in scores.argmax(axis=1)] == list(PROMPTS.values())
    if dtype == "int8":
        agreement = bundle.manifest.agreement
        assert agreement is not None
        assert agreement.share >= 0.95
        assert sum(bundle.manifest.sizes.values()) < 40_000_000


def test_a_long_text_is_not_cut_where_the_checkpoints_own_tokenizer_cuts(checkpoint: Path, tmp_path: Path) -> None:
    assert main(["models", "export", str(checkpoint), "--out", str(tmp_path / "b"), "--quiet"]) == 0
    bundle = open_bundle(tmp_path / "b")
    short, long = token_ids(bundle.path, ["hello", "hello " * 200], 512)
    assert short.shape == (1, 3), "not filled up to 128"
    assert long.shape == (1, 202), "not cut at 128"
