"""What is asked of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from signalbox.bundles.manifest import Dtype, Kind, Window

DEFAULT_BOUND = 0.95


@dataclass(frozen=True, slots=True)
class Request:
    """One export. None and empty stand for what the checkpoint, or what is published of it, says.

    source: folder of a checkpoint, or its name on the hub. labels: of the output, in its order.
    bound: the least share of calibration texts that a smaller model answers as its float32 original does.
    texts: a file with calibration texts of the operator's own, one in a line; None for those that ship.
    replace: an existing bundle at `out` is replaced, once the new one is whole.
    """

    source: str
    out: Path
    revision: str = ""
    kind: Kind | None = None
    dtype: Dtype = Dtype.FLOAT32
    labels: tuple[str, ...] = ()
    max_tokens: int = 0
    window: Window | None = None
    prompt: str = ""
    embedding: str = ""
    licence: str = ""
    bound: float = DEFAULT_BOUND
    texts: Path | None = None
    replace: bool = False
