"""A checkpoint's tokenizer.json, without what would cut or fill a text behind an engine's back.

Some checkpoints carry a truncation and a padding in it: MiniLM's cuts at 128 tokens and fills up to 128, so that
every prompt costs 128 tokens and the rest of a long one is gone. Engines trim first and never pad.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from signalbox.bundles.export.checkpoint import Checkpoint, missing
from signalbox.bundles.manifest import TOKENIZER


def write_tokenizer(checkpoint: Checkpoint, out: Path) -> None:
    """Write `out`/tokenizer.json. Raises BundleError if there is none that fits the model's vocabulary."""
    content = checkpoint.read_json(TOKENIZER)
    if content is None:
        content = _converted(checkpoint)
    if not isinstance(content, dict):
        raise checkpoint.refuse("not an object", expected="a file of the `tokenizers` library", file=TOKENIZER)
    content["truncation"] = content["padding"] = None
    (out / TOKENIZER).write_text(json.dumps(content, ensure_ascii=False))
    _check_vocabulary(checkpoint, out / TOKENIZER)


def _converted(checkpoint: Checkpoint) -> Any:
    """Convert an older checkpoint's vocabulary, as sentencepiece.bpe.model."""
    try:
        from transformers import AutoTokenizer
    except ImportError as problem:
        raise missing("transformers") from problem
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, use_fast=True, local_files_only=True)
        return json.loads(tokenizer.backend_tokenizer.to_str())
    except Exception as problem:  # whatever the conversion of a strange vocabulary raises
        raise checkpoint.refuse(
            f"missing, and the vocabulary cannot be converted: {str(problem).splitlines()[0]}",
            expected="the checkpoint's tokenizer.json",
            fix="save it with transformers' fast tokenizer",
            file=TOKENIZER,
        ) from problem


def _check_vocabulary(checkpoint: Checkpoint, file: Path) -> None:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as problem:  # the library raises Exception itself
        raise checkpoint.refuse(
            f"`tokenizers` cannot read it: {problem}", expected="a file of the `tokenizers` library", file=TOKENIZER
        ) from problem
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    rows = int(checkpoint.config.get("vocab_size", 0))
    if largest >= rows:
        raise checkpoint.refuse(
            f"token ids up to {largest}",
            expected=f"ids below {rows}, the vocabulary of the model",
            fix="take the tokenizer.json that the model was published with",
            file=TOKENIZER,
        )
