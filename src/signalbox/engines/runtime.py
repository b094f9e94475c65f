"""A model on ONNX Runtime: one session for all threads of a worker, and its weights shared with the other workers.

On a CPU a run has one thread and never spins: as many runs as there are cores go on at once, and none of them waits
for another. Batches gain nothing there, and the answer of a model with dynamic int8 would depend on its batch-mates, so
a run is always one text, unpadded.

Weights in external files are mapped and so shared by all processes that map them, except for what ONNX Runtime packs
anew for the CPU's kernels, which is most of a matrix. `prepared` therefore names a folder for the packed weights: the
first process writes them there, and everybody maps that file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from signalbox.errors import RouterError, SetupError

Device = Literal["auto", "cpu", "cuda"]
Array = NDArray[Any]

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
PREPARED_MODEL, PREPARED_WEIGHTS = "model.onnx", "weights"
MIN_SHARED_BYTES = 1024  # smaller tensors stay in the graph
MEASURED_RUNS = 3
FORGET = 0.98  # a model that is too slow by half is tried again after some thirty requests
UNUSED_SECONDS = 7 * 86_400
_ERRORS_ONLY = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a run takes at some lengths, the best of a few: (tokens, seconds), shortest first."""

    points: tuple[tuple[int, float], ...] = ()

    def seconds(self, tokens: int) -> float:
        """Return what a run of this length takes at best: by a straight line between lengths, by the last beyond."""
        before = (0, 0.0)
        for point in self.points:
            if tokens <= point[0]:
                share = (tokens - before[0]) / (point[0] - before[0])
                # The first stretch has no lower end that was measured: a run of one token is not for nothing.
                return before[1] + share * (point[1] - before[1]) if before[0] else point[1] * max(share, 0.25)
            before = point
        return before[1] * tokens / before[0] if before[0] else 0.0


class Gauge:
    """Whether a run can end in time: by the pace at load, corrected by what runs take.

    Several processes that start at once measure each other. So a run that is refused makes the estimate a little
    smaller, until one is tried and shows how long it takes. Threads share one; a lost update does no harm.
    """

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._scale = 1.0

    def fits(self, tokens: int, left_seconds: float) -> bool:
        """Whether a run of this length is to be begun with so much time left."""
        if self.pace.seconds(tokens) * self._scale <= left_seconds:
            return True
        self._scale *= FORGET
        return False

    def took(self, tokens: int, seconds: float) -> None:
        """Take in what a run took. One that others held up says nothing: the pace at load is the slowest believed."""
        expected = self.pace.seconds(tokens)
        if expected > 0:
            self._scale = (self._scale + min(seconds / expected, 1.0)) / 2


class Network:
    """A graph ready to run. Threads share one. path: what was loaded. model: what it was made of, for messages."""

    def __init__(self, session: Any, path: Path, model: Path | None = None) -> None:
        self._session = session
        self.path = path
        self.model = model or path
        self.inputs: tuple[str, ...] = tuple(port.name for port in session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(port.name for port in session.get_outputs())

    @property
    def session(self) -> Any:
        """ONNX Runtime's own session, for runs that keep values where the model runs."""
        return self._session

    @property
    def provider(self) -> str:
        """ONNX Runtime's name of what it runs on."""
        return str(self._session.get_providers()[0])

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """Return the outputs, by default the first. The GIL is free meanwhile.

        Raises RouterError when the run fails; its text has nothing of the input.
        """
        try:
            found: list[Array] = self._session.run(list(outputs or self.outputs[:1]), dict(feeds))
        except Exception as problem:  # ONNX Runtime has a dozen exceptions without a common base
            raise RouterError(f"{self.model}: ONNX Runtime failed with {type(problem).__name__}") from problem
        return found

    def run_ids(self, ids: Sequence[int] | NDArray[np.int64], output: str | None = None) -> Array:
        """Return one output for one text, by default the first; `ids` include the special tokens."""
        row = np.asarray(ids, dtype=np.int64).reshape(1, -1)
        feeds = {name: self._feed(name, row) for name in self.inputs}
        return self.run(feeds, None if output is None else (output,))[0]

    @staticmethod
    def _feed(name: str, row: NDArray[np.int64]) -> NDArray[np.int64]:
        if name == "input_ids":
            return row
        if name == "attention_mask":
            return np.ones_like(row)
        if name == "token_type_ids":
            return np.zeros_like(row)
        if name == "position_ids":
            return np.arange(row.shape[1], dtype=np.int64).reshape(1, -1)
        raise RouterError(f"the model wants an input {name!r}; expected input_ids, attention_mask or token_type_ids")

    def measure(
        self, lengths: Sequence[int], *, until_seconds: float = float("inf"), vocabulary: int | None = None
    ) -> Pace:
        """Run texts of these lengths, which also warms the session up, and return how long each took at best.

        until_seconds: no longer ones are run once one took so long. vocabulary: tokens that the texts are taken from,
        evenly; without one they are one token again and again. Raises RouterError for answers that are no numbers.
        """
        points = []
        for length in sorted(set(lengths)):
            ids = warm_up_ids(length, vocabulary)
            best = float("inf")
            for _ in range(MEASURED_RUNS):
                began = time.perf_counter()
                found = self.run_ids(ids)
                best = min(best, time.perf_counter() - began)
            check_finite(found, self.model, f"it answers a text of {length} tokens with")
            points.append((length, best))
            if best > until_seconds:
                break
        return Pace(tuple(points))


def warm_up_ids(length: int, vocabulary: int | None) -> NDArray[np.int64]:
    """Return a text that no user wrote: tokens from all over the vocabulary, or one of them again and again."""
    if vocabulary is None:
        return np.full(length, 1, dtype=np.int64)
    return np.linspace(0, max(0, vocabulary - 1), length).astype(np.int64)


def check_finite(found: Array, file: Path, what: str) -> None:
    """Refuse a model whose numbers are none. what: they are, behind "the numbers". Raises RouterError."""
    finite = int(np.isfinite(found).sum())
    if finite < found.size:
        raise RouterError(
            f"{file}: {found.size - finite} of the {found.size} numbers {what} are NaN or infinite; "
            "expected finite ones\n"
            "  fix: export it again from a sound checkpoint, with float32 weights if float16 or int8 ones overflow"
        )


def open_network(
    model: Path, *, device: Device = "auto", dtype: str = "float32", prepared: Path | None = None
) -> Network:
    """Open a model. dtype: of its weights. prepared: folder for weights that processes share, on a CPU.

    Raises RouterError for a model that cannot be used here, SetupError if ONNX Runtime is not installed, or no GPU is
    there and one was asked for.
    """
    runtime = _runtime()
    providers = _providers(runtime, device)
    if dtype == "float16" and providers[0] == CPU:
        raise RouterError(
            f"{model}: float16 weights are for accelerators; a CPU would convert each of them in each run\n"
            "  fix: export the model with int8 or float32 weights, or run it where there is a GPU"
        )
    options = _options(runtime)
    file = model
    if prepared is not None and providers[0] == CPU:
        with suppress(OSError):  # a full or read-only disk costs memory, not the engine
            file = _prepare(runtime, model, prepared, dtype)
    return Network(_session(runtime, file, options, providers), file, model)


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as problem:
        raise SetupError("the Python package `onnxruntime` is missing; fix: pip install onnxruntime") from problem
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    return onnxruntime


def _providers(runtime: Any, device: Device) -> list[str]:
    available = runtime.get_available_providers()
    if device != "cpu" and CUDA in available:
        return [CUDA, CPU]
    if device == "cuda":
        raise SetupError(
            f"`device: cuda`, and ONNX Runtime offers {', '.join(available)}\n"
            "  fix: pip install onnxruntime-gpu and run where there is a GPU, or leave `device` out"
        )
    return [CPU]


def _options(runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    for kind in ("intra", "inter"):
        options.add_session_config_entry(f"session.{kind}_op.allow_spinning", "0")
    return options


def _session(runtime: Any, model: Path, options: Any, providers: list[str]) -> Any:
    try:
        return runtime.InferenceSession(str(model), options, providers=providers)
    except Exception as problem:
        reason = str(problem).splitlines()[0][:300] if str(problem) else type(problem).__name__
        raise RouterError(f"{model}: ONNX Runtime cannot load it: {reason}") from problem


def _prepare(runtime: Any, model: Path, folder: Path, dtype: str) -> Path:
    """Return a copy of the model, optimized for this machine, whose packed weights lie in a file that can be mapped.

    One process makes it; the others wait for that. Raises OSError if it cannot be written.
    """
    place = folder / _fingerprint(runtime, model, dtype)
    done = place / PREPARED_MODEL
    if done.exists():
        os.utime(place)
        return done
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return done
        _forget_unused(folder)
        making = folder / f"{place.name}.{os.getpid()}"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        try:
            options = _options(runtime)
            options.optimized_model_filepath = str(making / PREPARED_MODEL)
            prefix = "session.optimized_model_external_initializers"
            options.add_session_config_entry(f"{prefix}_file_name", PREPARED_WEIGHTS)
            options.add_session_config_entry(f"{prefix}_min_size_in_bytes", str(MIN_SHARED_BYTES))
            options.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")
            try:
                _session(runtime, model, options, [CPU])
            except RouterError:
                return model  # it says so again, without the detour
            if not (making / PREPARED_MODEL).exists():
                return model
            making.rename(place)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return done


def _forget_unused(folder: Path) -> None:
    """Remove what no process has opened for a week. Who has it mapped keeps it."""
    oldest = time.time() - UNUSED_SECONDS
    for place in folder.iterdir():
        if place.is_dir() and place.stat().st_mtime < oldest:
            shutil.rmtree(place, ignore_errors=True)


def _fingerprint(runtime: Any, model: Path, dtype: str) -> str:
    """What a prepared model depends on: the model, ONNX Runtime and the CPU's instructions."""
    digest = hashlib.sha256(f"{runtime.__version__} {platform.machine()} {dtype} {_cpu_flags()}".encode())
    digest.update(model.read_bytes() if model.stat().st_size < 1 << 26 else b"")
    for file in sorted(model.parent.iterdir()):
        if file.is_file():
            state = file.stat()
            digest.update(f"{file.resolve()} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]


def _cpu_flags() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()
