"""The built-in encoder as it ships: vectors of any bytes, near for what is near, and files that belong together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signalbox import core
from signalbox.brain.artifact import MODELS, open_artifact, write_manifest
from signalbox.brain.encoder import HEAD_BYTES, MOST_BYTES, TAIL_BYTES, Encoder
from signalbox.errors import SetupError

ENCODER = Encoder.load()

TASKS = {
    "code": b"writing, explaining and fixing computer programs",
    "cooking": b"recipes, meals and ingredients",
    "law": b"contracts, rights and legal advice",
    "travel": b"flights, hotels and trips",
}
PROMPTS = {
    b"My Python loop raises an IndexError, what is wrong?": "code",
    b"How long do I boil potatoes for a salad?": "cooking",
    b"Suggest a dinner with lentils and spinach.": "cooking",
    b"Can my landlord end the lease without notice?": "law",
    b"I want to fly from Rome to Oslo on Friday": "travel",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("encoder.json", "encoder.table", "encoder.vocab"):
        shutil.copy(MODELS / name, tmp_path / name)
    return tmp_path


def test_prompts_are_nearest_to_the_task_that_describes_them() -> None:
    tasks = ENCODER.vectors(list(TASKS.values()))
    found = {prompt: list(TASKS)[int(np.argmax(tasks @ ENCODER.vector(prompt)))] for prompt in PROMPTS}
    assert found == PROMPTS


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@example(b"")
@example(b"\xff\xfe" * 9000)
@example("日本語のテキスト ".encode() * 4000)
@example(b"[UNK] [MASK] [CLS]")
def test_any_bytes_have_a_vector_of_unit_length_or_none(text: bytes) -> None:
    vector = ENCODER.vector(text)
    assert vector.dtype == np.float32
    assert vector.shape == (ENCODER.dims,)
    assert np.linalg.norm(vector) == pytest.approx(1 if vector.any() else 0, abs=1e-6)


@pytest.mark.parametrize("text", [b"", b"  \n", "☃☃☃".encode(), b"\xff\xff"])
def test_a_text_without_known_tokens_has_no_direction(text: bytes) -> None:
    assert not ENCODER.vector(text).any()


def test_a_batch_has_the_bits_of_its_texts_alone() -> None:
    texts = [*PROMPTS, b"", b"x " * 9000]
    assert ENCODER.vectors(texts).tobytes() == b"".join(ENCODER.vector(text).tobytes() for text in texts)
    assert ENCODER.vectors([]).shape == (0, ENCODER.dims)


def test_a_long_text_is_read_at_its_head_and_its_tail() -> None:
    head, middle, tail = (word * (MOST_BYTES // len(word)) for word in (b"flights ", b"potato ", b"contract "))
    vector = ENCODER.vector(head[:HEAD_BYTES] + middle + tail[-TAIL_BYTES:])
    assert np.array_equal(vector, ENCODER.vector(head[:HEAD_BYTES] + b" " + tail[-TAIL_BYTES:]))
    assert not np.array_equal(vector, ENCODER.vector(head))


def test_the_artifact_is_small_enough_to_ship_and_says_where_it_is_from() -> None:
    artifact = open_artifact("encoder")
    assert sum(path.stat().st_size for path in artifact.files.values()) < 15_000_000
    assert artifact.number("dims") == ENCODER.dims
    assert ENCODER.version == artifact.manifest["files"]["encoder.table"][:12]


def test_a_changed_a_cut_and_a_missing_file_are_refused_by_name(folder: Path) -> None:
    data = (folder / "encoder.table").read_bytes()
    for broken in (data[:-1], data[:100] + bytes([data[100] ^ 1]) + data[101:]):
        (folder / "encoder.table").write_bytes(broken)
        with pytest.raises(SetupError, match=r"encoder\.table: its SHA-256 is [0-9a-f]{12}…(.|\n)*as encoder\.json"):
            Encoder.load(folder)
    (folder / "encoder.vocab").unlink()
    (folder / "encoder.table").write_bytes(data)
    with pytest.raises(SetupError, match=r"encoder\.vocab: No such file(.|\n)*make default-models"):
        Encoder.load(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("{", "it is not JSON"),
        ("[]", "it is not the manifest of this model"),
        ({"kind": "tasks"}, "it is not the manifest of this model"),
        ({"format": 2}, "`format` is 2"),
        ({"files": {}}, "`files` is missing"),
        ({"dims": "many"}, "`dims` is 'many'"),
        ({"dims": 7}, r"encoder\.table: \d+ dims"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(folder: Path, change: str | dict[str, object], says: str) -> None:
    manifest = folder / "encoder.json"
    manifest.write_text(change if isinstance(change, str) else json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(SetupError, match=says):
        Encoder.load(folder)


def test_a_manifest_that_forgets_a_file_is_refused(folder: Path) -> None:
    write_manifest(folder, "encoder", ["encoder.table"], dims=ENCODER.dims)
    with pytest.raises(SetupError, match=r"`files` lacks encoder\.vocab"):
        Encoder.load(folder)


def test_a_table_of_another_vocabulary_is_refused(folder: Path) -> None:
    core.write_table(folder / "encoder.table", np.ones((100, ENCODER.dims), np.float32))
    write_manifest(folder, "encoder", ["encoder.table", "encoder.vocab"], dims=ENCODER.dims)
    with pytest.raises(SetupError, match=r"encoder\.vocab: \d+ tokens(.|\n)*at most 100"):
        Encoder.load(folder)
