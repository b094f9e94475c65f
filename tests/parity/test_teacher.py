"""The encoder's teacher in numpy gives the vectors that transformers gives for the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from signalbox.training.teacher import Teacher
from tests.unit.training.small import vocabulary, write_teacher


def test_the_teacher_agrees_with_torch_on_texts_of_every_length(tmp_path: Path) -> None:
    import torch
    from transformers import BertModel

    folder = write_teacher(tmp_path / "bert")
    model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    dice = np.random.default_rng(5)
    rows = len(vocabulary().splitlines())
    texts = [dice.integers(0, rows, length).tolist() for length in (1, 2, 3, 3, 17, 64, 128)]
    found = Teacher(folder).vectors(texts)
    for text, vector in zip(texts, found, strict=True):
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([text])).last_hidden_state[0].mean(dim=0).numpy()
        assert np.allclose(vector, states / np.linalg.norm(states), atol=2e-6)
