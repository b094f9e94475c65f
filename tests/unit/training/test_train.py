"""`signalbox train`: what it learns from labels and feedback, what it says of itself, what it refuses to learn from."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.brain.capability import Capability, Judge
from signalbox.brain.encoder import Encoder
from signalbox.brain.learned import Learned
from signalbox.cli import main
from signalbox.collector.journal.entry import FeedbackEntry, RequestEntry, encode
from signalbox.errors import DataError, SetupError
from signalbox.evaluation.routers import features_of
from signalbox.label import Label
from signalbox.label import encode as encode_label
from signalbox.training.data import read_feedback, read_judgements, read_outcomes
from signalbox.training.learner import merge
from signalbox.training.run import Options, Trained, train
from tests.unit.training.rows import labelled, noise, prompt_of, write

ENCODER = Encoder.load()


def trained(data: Path, out: Path, **more: Any) -> Trained:
    return train(Options(data, out, strong="large", weak="small", resamples=100, quiet=True, **more))


def strong_of(heads: Judge, text: str) -> float:
    return heads.need(ENCODER.vector(text.encode()), features_of([text])[0]).strong


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    found = trained(write(folder / "labels.jsonl", labelled()), folder / "bundle")
    assert found.judgement.recommended
    return folder / "bundle"


def test_heads_learn_what_the_weak_model_gets_wrong(bundle: Path) -> None:
    heads = Capability.load(bundle)
    assert strong_of(heads, "Prove that my neighbour is continuous, case 4") > 0.7
    assert strong_of(heads, "Say hello to my neighbour, case 7") < 0.3


def test_each_model_of_the_labels_gets_a_chance_of_its_own(bundle: Path) -> None:
    heads = Capability.load(bundle)
    text = "Prove that my neighbour is continuous, case 4"
    success = heads.need(ENCODER.vector(text.encode()), features_of([text])[0]).success
    assert success.keys() == {"strong", "weak", "large", "small", "odd"}
    assert success["large"] > 0.9 > 0.6 > success["small"]
    assert success["strong"] == pytest.approx(success["large"], abs=0.2)


def test_far_from_all_labels_the_general_heads_answer(bundle: Path) -> None:
    text = "void qsort(int *a, int n) { if (n < 2) return; } /* which pivot? */"
    vector, features = ENCODER.vector(text.encode()), features_of([text])[0]
    own, general = Capability.load(bundle).need(vector, features), Capability.load().need(vector, features)
    assert own.strong == pytest.approx(general.strong, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), st.binary(max_size=50))
def test_every_text_gets_chances(bundle: Path, text: str, raw: bytes) -> None:
    heads = Capability.load(bundle)
    for vector in (ENCODER.vector(text.encode("utf-8", "replace")), ENCODER.vector(raw)):
        need = heads.need(vector, features_of([text.encode("utf-8", "replace").decode()])[0])
        chances = [need.strong, need.familiarity, *need.success.values()]
        assert all(math.isfinite(chance) and 0.0 <= chance <= 1.0 for chance in chances)


def test_the_card_has_the_data_the_figures_and_no_prompt(bundle: Path) -> None:
    card = (bundle / "MODEL_CARD.md").read_text()
    says = json.loads((bundle / "capability.json").read_text())
    assert says["data_sha256"] in card
    assert "word count" in card
    assert "Recommended" in card
    assert says["trained_minus"]["word count"][1] > 0
    assert not any(prompt_of(row) in card for row in range(120))


def test_equal_data_makes_equal_bundles(tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labelled(60))
    for name in ("one", "two"):
        trained(data, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_heads_that_beat_no_word_count_advise_against_themselves_and_are_written_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "noise.jsonl", noise())
    words = ["train", "--data", str(data), "--out", str(tmp_path / "b"), "--strong", "large", "--weak", "small"]
    assert main([*words, "--quiet", "--resamples", "100"]) == 0
    assert "NOT RECOMMENDED" in capsys.readouterr().out
    heads = Capability.load(tmp_path / "b")
    assert isinstance(heads, Learned)
    assert not heads.recommended
    assert json.loads((tmp_path / "b" / "capability.json").read_text())["recommended"] is False


def test_figures_come_as_json_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path / "labels.jsonl", labelled(60))
    words = ["train", "--data", str(data), "--out", str(tmp_path / "b"), "--strong", "large", "--weak", "small"]
    assert main([*words, "--quiet", "--resamples", "50", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["recommended"] is True
    assert found["models"] == ["large", "odd", "small"]
    assert set(found["figures"]) >= {"trained", "built-in", "word count", "surface composite"}


def test_repeated_and_contradictory_prompts_count_once_with_their_mean(tmp_path: Path) -> None:
    rows = labelled(40)
    rows += [{**rows[0], "scores": {"large": 1, "small": 0}}, rows[1]]
    data = read_outcomes(write(tmp_path / "d.jsonl", rows), "large", "small")
    merged, firsts, counts = merge(data.labels)
    assert len(merged) == 40
    assert counts.tolist() == [2.0, 2.0] + [1.0] * 38
    assert merged.weak[0] == 0.5
    assert firsts.tolist() == list(range(40))
    assert any("contradict" in note for note in data.notes)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], "no rows"),
        (labelled(19), "19 distinct prompts"),
        ([labelled(2)[0]] * 50, "1 distinct prompts"),
        ([{**row, "scores": {"large": 1, "small": 1}} for row in labelled(40)], "one class"),
        ([{**row, "scores": {"large": 1, "small": 0}} for row in labelled(40)], "one class"),
        ([{**row, "scores": {"large": 0, "small": 0}} for row in labelled(40)], "one class"),
        ([{**row, "scores": {"large": "good", "small": 0}} for row in labelled(40)], "found a string"),
        ([{**row, "prompt": 7} for row in labelled(40)], "found the number 7"),
        ([1, 2, 3], "the line holds"),
    ],
)
def test_data_that_nothing_can_be_learned_from_is_refused_with_what_was_expected(
    tmp_path: Path, rows: list[Any], found: str
) -> None:
    with pytest.raises(DataError, match=found) as refused:
        trained(write(tmp_path / "data.jsonl", rows), tmp_path / "bundle")
    assert "data.jsonl" in str(refused.value)
    assert "expected" in str(refused.value)
    assert not (tmp_path / "bundle").exists()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labelled(40))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    for replace in (False, True):
        with pytest.raises(SetupError, match=r"notes\.txt"):
            trained(data, tmp_path / "out", replace=replace)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_bundle_is_replaced_only_when_asked(tmp_path: Path) -> None:
    data = write(tmp_path / "labels.jsonl", labelled(40))
    trained(data, tmp_path / "out")
    with pytest.raises(SetupError, match="--replace"):
        trained(data, tmp_path / "out")
    trained(data, tmp_path / "out", replace=True)


def test_a_bundle_of_another_encoder_is_refused(tmp_path: Path) -> None:
    trained(write(tmp_path / "labels.jsonl", labelled(40)), tmp_path / "out")
    place = tmp_path / "out" / "capability.json"
    place.write_text(place.read_text().replace(ENCODER.version, "0123456789ab"))
    with pytest.raises(SetupError, match="train again"):
        Capability.load(tmp_path / "out")


def test_a_bundle_with_numbers_that_are_none_is_refused(tmp_path: Path) -> None:
    from signalbox.brain.artifact import sha256

    trained(write(tmp_path / "labels.jsonl", labelled(40)), tmp_path / "out")
    arrays = tmp_path / "out" / "learned.npz"
    with np.load(arrays) as held:
        content = {name: held[name] for name in held.files}
    content["bias"][0] = np.nan
    before = sha256(arrays)
    np.savez(arrays, allow_pickle=False, **content)
    place = tmp_path / "out" / "capability.json"
    place.write_text(place.read_text().replace(before, sha256(arrays)))
    with pytest.raises(SetupError, match="bias"):
        Capability.load(tmp_path / "out")


def journal(folder: Path, count: int) -> Path:
    """Write the journal of requests that took turns between the models, marked as `labelled` has it."""
    folder.mkdir()
    lines = []
    for row, label in enumerate(labelled(count)):
        model = "large" if row % 4 < 2 else "small"
        score = float(label["scores"][model])
        lines.append(encode(RequestEntry(v=1, ended_seconds=float(row), id=f"d{row}", model=model)))
        lines.append(encode(FeedbackEntry(v=1, at_seconds=float(row), id=f"d{row}", score=score)))
    (folder / "journal-20261121T120000.000000Z.jsonl").write_bytes(b"".join(lines))
    return folder


def asked(path: Path, count: int) -> Path:
    return write(path, [{"id": f"d{row}", "prompt": prompt_of(row)} for row in range(count)])


def test_feedback_teaches_which_prompts_the_weak_model_fails(tmp_path: Path) -> None:
    found = trained(asked(tmp_path / "d.jsonl", 160), tmp_path / "b", journal=journal(tmp_path / "j", 160))
    assert found.data.feedback
    assert found.judgement.figure == "AUROC"
    heads = Capability.load(tmp_path / "b")
    assert strong_of(heads, prompt_of(7)) > strong_of(heads, prompt_of(6)) + 0.2
    assert found.models == ("large", "small")


def test_feedback_needs_to_know_which_models_are_which(tmp_path: Path) -> None:
    data, marks = asked(tmp_path / "d.jsonl", 80), journal(tmp_path / "j", 80)
    for strong, weak in (((), ("small",)), (("large",), ("large",))):
        with pytest.raises(DataError, match="which models"):
            read_feedback(data, marks, strong, weak)
    with pytest.raises(DataError, match="models with marks: large, small"):
        read_feedback(data, marks, ("huge",), ("tiny",))
    with pytest.raises(DataError, match="`id`"):
        read_feedback(write(tmp_path / "e.jsonl", labelled(40)), marks, ("large",), ("small",))


def test_labels_of_another_engine_are_joined_by_id_or_by_line(tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", [{"prompt": prompt_of(row)} for row in range(40)])
    chance = [0.9 if row % 2 else 0.1 for row in range(40)]
    lines = [
        encode_label(Label(v=1, at_seconds=0.0, line=row + 1, score=chance[row], threshold=0.5)) for row in range(40)
    ]
    judged = tmp_path / "labels.jsonl"
    judged.write_bytes(b"".join(lines))
    found = read_judgements(data, judged)
    assert found.labels.weak == pytest.approx([1.0 - each for each in chance])
    judged.write_bytes(b"".join([*lines, b'{"kind":"other"}\n']))
    with pytest.raises(DataError, match="not a label"):
        read_judgements(data, judged)


def test_feedback_and_labels_at_once_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="leave one out"):
        trained(asked(tmp_path / "d.jsonl", 30), tmp_path / "b", journal=tmp_path, labels=tmp_path / "l")
