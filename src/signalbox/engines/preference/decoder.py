"""A causal model on ONNX Runtime, run piece by piece: tokens and what was computed before in, one row of logits out.

What was computed before, the keys and values of every layer, stays where the model runs as OrtValues, is never changed
and may be continued any number of times: of a policy's routes once for all requests, of a prompt once for all labels.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from signalbox.engines.runtime import CUDA, Network, Pace, check_finite, warm_up_ids
from signalbox.errors import RouterError

PAST, PRESENT, LOGITS = "past_key_values.", "present.", "logits"
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_KNOWN_INPUTS = ("input_ids", "attention_mask", "position_ids")
MEASURED_RUNS = 2


@dataclass(frozen=True, slots=True)
class Memory:
    """Keys and values of the first `tokens` tokens of a text, in the order of the graph's inputs."""

    tokens: int
    values: tuple[Any, ...]

    @property
    def size_bytes(self) -> int:
        return sum(value.tensor_size_in_bytes() for value in self.values)


class Decoder:
    """Threads share one: a run changes nothing."""

    def __init__(self, network: Network) -> None:
        """Raises RouterError for a graph without keys and values of the past, or with inputs nobody knows."""
        import onnxruntime

        self._runtime = onnxruntime
        self._session = network.session
        self._path = network.model
        self._device = "cuda" if network.provider == CUDA else "cpu"
        past = [port for port in self._session.get_inputs() if port.name.startswith(PAST)]
        self._past = [port.name for port in past]
        self._present = [PRESENT + name.removeprefix(PAST) for name in self._past]
        others = [name for name in network.inputs if name not in self._past]
        self._positions = "position_ids" in others
        self._mask = "attention_mask" in others
        missing = [name for name in (*self._present, LOGITS) if name not in network.outputs]
        if not past or "input_ids" not in others or missing or set(others) - set(_KNOWN_INPUTS):
            raise RouterError(
                f"{network.model}: inputs {', '.join(others)} and {len(past)} {PAST}*; expected "
                f"{', '.join(_KNOWN_INPUTS)}, {PAST}N.key and .value, and outputs {LOGITS}, {PRESENT}N.key, .value"
                "\n  fix: export the model again with `signalbox models export`"
            )
        self._empty = Memory(0, tuple(self._nothing(port) for port in past))

    @property
    def empty(self) -> Memory:
        """Of no text."""
        return self._empty

    def run(self, ids: Sequence[int], memory: Memory, *, remember: bool = True) -> tuple[NDArray[np.float32], Memory]:
        """Return the logits behind the last of `ids`, (vocabulary,), and the memory with them in it.

        remember: False leaves the memory as it was, for a run that nothing follows. The GIL is free meanwhile.
        Raises RouterError when the run fails; its text has nothing of the input.
        """
        end = memory.tokens + len(ids)
        feeds = {"input_ids": np.asarray([ids], dtype=np.int64)}
        if self._mask:
            feeds["attention_mask"] = np.ones((1, end), dtype=np.int64)
        if self._positions:
            feeds["position_ids"] = np.arange(memory.tokens, end, dtype=np.int64).reshape(1, -1)
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, array)
        for name, value in zip(self._past, memory.values, strict=True):
            binding.bind_ortvalue_input(name, value)
        binding.bind_output(LOGITS, "cpu")
        for name in self._present if remember else ():
            binding.bind_output(name, self._device)
        try:
            self._session.run_with_iobinding(binding)
        except Exception as problem:  # ONNX Runtime has a dozen exceptions without a common base
            raise RouterError(f"{self._path}: ONNX Runtime failed with {type(problem).__name__}") from problem
        logits, *present = binding.get_outputs()
        row = np.asarray(logits.numpy()[0, -1], dtype=np.float32)
        return row, Memory(end, tuple(present)) if remember else memory

    def measure(
        self, lengths: Sequence[int], *, until_seconds: float = float("inf"), vocabulary: int | None = None
    ) -> Pace:
        """Run texts of these lengths, as `Network.measure` does, with the same arguments and errors."""
        points = []
        for length in sorted(set(lengths)):
            ids, best = warm_up_ids(length, vocabulary).tolist(), float("inf")
            for _ in range(MEASURED_RUNS):
                began = time.perf_counter()
                found, _ = self.run(ids, self._empty, remember=False)
                best = min(best, time.perf_counter() - began)
            check_finite(found, self._path, f"it answers a text of {length} tokens with")
            points.append((length, best))
            if best > until_seconds:
                break
        return Pace(tuple(points))

    def _nothing(self, port: Any) -> Any:
        shape, dtype = port.shape, TYPES.get(port.type)
        if len(shape) != 4 or dtype is None or not isinstance(shape[1], int) or not isinstance(shape[3], int):
            raise RouterError(
                f"{self._path}: input {port.name} is {port.type} {shape}; expected floats, (batch, heads, past, size) "
                "with heads and size known\n  fix: export the model again with `signalbox models export`"
            )
        nothing = np.empty((1, shape[1], 0, shape[3]), dtype=dtype)
        return self._runtime.OrtValue.ortvalue_from_numpy(nothing, self._device, 0)
