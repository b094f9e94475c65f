"""The encoder's recipe on a small teacher and a small folder: an encoder that loads, and the same bytes again."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from signalbox.brain.artifact import open_artifact
from signalbox.brain.encoder import Encoder
from signalbox.errors import SetupError
from signalbox.training import default_models, encoder_exam, encoder_texts, wordnet
from signalbox.training.recipes import encoder
from signalbox.training.teacher import Teacher
from tests.unit.training.small import vocabulary, write_data, write_teacher

FILES = ("encoder.json", "encoder.table", "encoder.vocab")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With data/ and teacher/ in it; everything that says where the teacher is, set."""
    write_data(tmp_path / "data")
    monkeypatch.setenv(encoder.TEACHER, str(write_teacher(tmp_path / "teacher")))
    monkeypatch.setenv(encoder.SCRATCH, str(tmp_path / "scratch"))
    monkeypatch.setattr(wordnet, "lines", lambda: ["play: a song", "the city tonight"])
    monkeypatch.setattr(encoder, "DIMS", 16)
    for name, value in default_models.PINNED.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def built(folder: Path, name: str, data: str = "data") -> dict[str, bytes]:
    assert default_models.main(["--data", str(folder / data), "--only", "encoder", "--out", str(folder / name)]) == 0
    assert sorted(path.name for path in (folder / name).iterdir()) == sorted(FILES)
    return {file: (folder / name / file).read_bytes() for file in FILES}


def test_the_same_data_make_the_same_bytes_with_and_without_the_kept_vectors(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = built(folder, "a")
    assert list((folder / "scratch").glob("clinc150-*.npy"))
    assert built(folder, "b") == first
    for path in (folder / "scratch").iterdir():
        path.unlink()
    assert built(folder, "c") == first
    capsys.readouterr()
    assert built(folder, "c") == first
    shown = capsys.readouterr().out
    assert shown.count("  same") == 3
    assert "changed" not in shown


def test_the_encoder_that_was_made_reads_texts(folder: Path) -> None:
    built(folder, "out")
    made = Encoder.load(folder / "out")
    assert made.dims == 16
    assert np.linalg.norm(made.vector(b"how do i book a flight")) == pytest.approx(1, abs=1e-6)
    assert not made.vector(b"[unused0] [CLS]").any()
    manifest = open_artifact("encoder", folder / "out").manifest
    assert manifest["teacher"]["sha256"] == Teacher(folder / "teacher").sha256
    assert manifest["texts"]["hwu64"] == 60
    assert set(manifest["metrics"]["zero_shot"]) == set(encoder_exam.SETS)


def test_texts_kept_for_measuring_change_nothing(folder: Path) -> None:
    write_data(folder / "other", seed=9)
    one, other = built(folder, "a"), built(folder, "b", data="other")
    assert one["encoder.table"] == other["encoder.table"]
    assert one["encoder.json"] != other["encoder.json"]  # it has the figures of the other texts


def test_special_tokens_are_those_that_no_text_has() -> None:
    tokens = [token.decode() for token in vocabulary().splitlines()]
    found = [tokens[i] for i in encoder_texts.special_ids(vocabulary())]
    assert sorted(found) == ["[CLS]", "[MASK]", "[PAD]", "[SEP]", "[UNK]", "[unused0]"]


def test_a_broken_line_and_missing_folders_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "data" / "intents" / "hwu64.jsonl.gz"
    whole = path.read_bytes()
    arguments = ["--only", "encoder", "--out", str(folder / "out"), "--data"]
    for broken, says in (
        (gzip.compress(b'{"text": "a", "split": "train"}\n{'), "hwu64.jsonl.gz:2: not JSON"),
        (gzip.compress(b"[]\n"), "hwu64.jsonl.gz:1: list"),
        (whole[:-9], "hwu64.jsonl.gz: "),
    ):
        path.write_bytes(broken)
        assert default_models.main([*arguments, str(folder / "data")]) == 1
        assert says in capsys.readouterr().err
    assert not list((folder / "out").iterdir())
    assert default_models.main([*arguments, str(folder / "nowhere")]) == 1
    assert "found no folder intents/" in capsys.readouterr().err
    monkeypatch.setenv(encoder.TEACHER, str(folder))
    with pytest.raises(SetupError, match=r"no model\.safetensors(.|\n)*make default-models"):
        encoder.build(folder / "data", folder / "out")
