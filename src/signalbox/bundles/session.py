"""Running a bundle's graph the way an engine does: on the CPU, one thread, one text at a time, never padded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signalbox.errors import BundleError

Array = NDArray[Any]


def open_session(model: Path, threads: int = 1) -> Any:
    """Open a graph on the CPU. Raises BundleError for one that ONNX Runtime cannot run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # the library's own errors have no common type but this
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        raise BundleError.single(
            str(model), f"ONNX Runtime cannot open it: {lines[0]}", expected="a graph that it can run"
        ) from problem


def feeds(session: Any, ids: Array, past: dict[str, Array] | None = None) -> dict[str, Array]:
    """Return the inputs of one run.

    ids: int64, (batch, tokens). past: outputs `present.*` of the runs before, for a model that generates; None for
    the beginning.
    """
    batch, tokens = ids.shape
    inputs: dict[str, Array] = {}
    before = 0
    for port in session.get_inputs():
        if port.name.startswith("past_key_values."):
            name = port.name.replace("past_key_values", "present")
            if past is None:
                shape = [batch if at == 0 else length for at, length in enumerate(port.shape)]
                shape = [length if isinstance(length, int) else 0 for length in shape]
                kind = np.float16 if port.type == "tensor(float16)" else np.float32
                inputs[port.name] = np.zeros(shape, kind)
            else:
                inputs[port.name] = past[name]
            before = inputs[port.name].shape[2]
    for port in session.get_inputs():
        if port.name == "input_ids":
            inputs[port.name] = ids
        elif port.name == "attention_mask":
            inputs[port.name] = np.ones((batch, before + tokens), np.int64)
        elif port.name == "position_ids":
            inputs[port.name] = np.tile(np.arange(before, before + tokens, dtype=np.int64), (batch, 1))
        elif port.name == "token_type_ids":
            inputs[port.name] = np.zeros((batch, tokens), np.int64)
    return inputs


def run(session: Any, ids: Array, past: dict[str, Array] | None = None) -> dict[str, Array]:
    """Run once; return every output by name."""
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds(session, ids, past)), strict=True))
