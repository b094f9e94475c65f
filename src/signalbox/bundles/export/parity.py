"""The exported graph against the checkpoint itself, in torch: several lengths, and for what generates, a past."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from signalbox.bundles.export.checkpoint import Checkpoint
from signalbox.bundles.export.plan import Family, positions
from signalbox.bundles.session import Array, open_session, run

LENGTHS = (4, 17, 64, 255)
TOLERANCE = 1e-3
"""Of the largest output. Noise of float32 is 1e-6 on small models, more where attention is sharp; a wrong mask or angle
makes 1e-2 and more. The manifest says what it was."""


def cases(checkpoint: Checkpoint) -> list[Array]:
    """Token ids to compare on, int64, (1, tokens): any, but no padding, which models mask by its id."""
    dice = np.random.default_rng(7)
    size, padding = int(checkpoint.config["vocab_size"]), checkpoint.config.get("pad_token_id")
    allowed = np.setdiff1d(np.arange(size), [] if padding is None else [padding])
    most = positions(checkpoint.config)
    return [dice.choice(allowed, (1, min(length, most))) for length in LENGTHS]


def expected(model: Any, family: Family, ids: Sequence[Array]) -> list[list[Array]]:
    """Return what the checkpoint answers: for each case, one array; for what generates, a second after a past."""
    import torch

    answers = []
    with torch.inference_mode():
        for each in ids:
            tokens = torch.from_numpy(each)
            output = model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
            if family is Family.ENCODER:
                answers.append([output.last_hidden_state.numpy()])
            elif family is Family.CAUSAL:
                half = each.shape[1] // 2
                answers.append([output.logits[:, half - 1].numpy(), output.logits[:, -1].numpy()])
            else:
                answers.append([output.logits.numpy()])
    return answers


def check_parity(
    checkpoint: Checkpoint, model: Path, family: Family, ids: Sequence[Array], answers: list[list[Array]]
) -> float:
    """Return the largest absolute difference. Raises BundleError if it is more than noise."""
    session = open_session(model)
    worst = 0.0
    for each, wanted in zip(ids, answers, strict=True):
        for found, right in zip(_answers(session, family, each), wanted, strict=True):
            if found.shape != right.shape:
                raise checkpoint.refuse(
                    f"the graph answers with shape {found.shape} to {each.shape[1]} tokens",
                    expected=f"{right.shape}, as torch does",
                    file="",
                )
            difference = float(np.abs(found - right).max())
            scale = max(1.0, float(np.abs(right).max()))
            if not difference <= TOLERANCE * scale:  # NaN is not
                raise checkpoint.refuse(
                    f"the graph differs by {difference:.2g} from torch on {each.shape[1]} tokens",
                    expected=f"at most {TOLERANCE * scale:.1g}",
                    fix="report this with architecture and versions",
                    file="",
                )
            worst = max(worst, difference)
    return worst


def _answers(session: Any, family: Family, ids: Array) -> list[Array]:
    if family is Family.ENCODER:
        return [run(session, ids)["last_hidden_state"]]
    if family is not Family.CAUSAL:
        return [run(session, ids)["logits"]]
    half = ids.shape[1] // 2
    first = run(session, ids[:, :half])
    second = run(session, ids[:, half:], first)
    return [first["logits"][:, -1], second["logits"][:, -1]]
