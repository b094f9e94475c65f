"""Bundles of kind `preference` around the tiny decoder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.unit.engines.preference.tiny_decoder import weights, write_decoder
from tests.unit.engines.preference.tokenizers_like_qwen import tokenizer_json

VOCABULARY = 3100  # more than the tokenizer has


def write_bundle(folder: Path, *, not_finite: bool = False, **manifest: Any) -> Path:
    folder.mkdir()
    found = weights(VOCABULARY)
    write_decoder(folder / "model.onnx", found, not_finite=not_finite)
    (folder / "tokenizer.json").write_text(tokenizer_json())
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    content = {"schema": 1, "kind": "preference", "architecture": "tiny", "max_tokens": 1200, "files": files}
    (folder / "router.json").write_text(json.dumps({**content, "prompt": "plano-orchestrator", **manifest}))
    return folder
