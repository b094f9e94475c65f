"""A checkpoint is read, never run; what cannot become a bundle is refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from signalbox.bundles.export.checkpoint import open_checkpoint
from signalbox.bundles.export.tokenizer import write_tokenizer
from signalbox.cli import main
from signalbox.errors import BundleError
from tests.unit.bundles.export.checkpoints import BERT, checkpoint, write_checkpoint
from tests.unit.bundles.tiny import tokenizer_json


def test_a_folder_gives_its_name_and_the_licence_of_its_card(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "a-model", BERT)
    for card, licence in (
        ("---\nlicense: apache-2.0\n---\n# Model", "apache-2.0"),
        ("---\ntags: [x]\nlicense: other\nlicense_name: katanemo-research\n---\n", "katanemo-research"),
        ("---\nlicense: 'mit'  \n---\n", "mit"),
        ("# no front matter\nlicense: mit\n", ""),
    ):
        (folder / "README.md").write_text(card)
        found = open_checkpoint(str(folder))
        assert (found.source, found.revision, found.licence) == ("a-model", "", licence)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({**BERT, "auto_map": {"AutoModel": "modeling.Evil"}}, "brings code of its own, which is never run"),
        ({**BERT, "quantization_config": {"bits": 4}}, "quantised already"),
        ([], "not an object"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_loaded(
    tmp_path: Path, config: object, expected: str
) -> None:
    with pytest.raises(BundleError, match=expected):
        checkpoint(tmp_path / "c", config)  # type: ignore[arg-type]


def test_an_adapter_and_a_broken_config_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="merged variant"):
        checkpoint(tmp_path / "lora", None, adapter_config={"r": 8})
    folder = write_checkpoint(tmp_path / "c", BERT)
    (folder / "config.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        open_checkpoint(str(folder))


@pytest.mark.parametrize("source", ["nowhere", "a/b/c", "../x", "own er/x"])
def test_a_source_that_is_neither_folder_nor_name_is_refused(source: str) -> None:
    with pytest.raises(BundleError, match="OWNER/NAME on the hub"):
        open_checkpoint(source)


def test_a_name_is_looked_up_on_the_hub_and_its_commit_is_the_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants", reason="part of the extra `export`")
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--acme--router"
    write_checkpoint(cached / "snapshots" / commit, BERT)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    found = open_checkpoint("acme/router")
    assert (found.source, found.revision) == ("acme/router", commit)
    with pytest.raises(BundleError, match="the hub did not give it"):
        open_checkpoint("acme/other")


def test_a_tokenizer_loses_the_truncation_and_padding_it_came_with(tmp_path: Path) -> None:
    content = json.loads(tokenizer_json())
    content["truncation"] = {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    content["padding"] = {
        "strategy": {"Fixed": 4},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 3,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    found = checkpoint(tmp_path / "c", BERT, tokenizer=content)
    write_tokenizer(found, tmp_path)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert len(tokenizer.encode("hello").ids) == 1
    assert len(tokenizer.encode("hello world sort a list prove it").ids) == 7


def test_another_models_tokenizer_is_refused(tmp_path: Path) -> None:
    found = checkpoint(tmp_path / "c", {**BERT, "vocab_size": 5}, tokenizer=json.loads(tokenizer_json()))
    with pytest.raises(BundleError, match="token ids up to 11\n  expected: ids below 5"):
        write_tokenizer(found, tmp_path)
    broken = checkpoint(tmp_path / "d", BERT, tokenizer={"model": {"type": "Novel"}})
    with pytest.raises(BundleError, match="`tokenizers` cannot read it"):
        write_tokenizer(broken, tmp_path)


def test_export_says_what_is_wrong_and_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_checkpoint(tmp_path / "c", {**BERT, "auto_map": {"AutoModel": "x.y"}})
    assert main(["models", "export", str(source), "--out", str(tmp_path / "out" / "b")]) == 1
    assert "auto_map" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_there_already_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_checkpoint(tmp_path / "c", BERT)
    (tmp_path / "photos").mkdir()
    words = ["models", "export", str(source), "--out", str(tmp_path / "photos")]
    assert main(words) == 1
    assert "say --replace" in capsys.readouterr().err
    assert main([*words, "--replace"]) == 1
    assert "not a bundle, so it is not replaced" in capsys.readouterr().err
    assert (tmp_path / "photos").is_dir()
