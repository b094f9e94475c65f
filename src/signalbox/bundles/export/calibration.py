"""The texts on which a quantised model is held against its original: many languages, code, short and long."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from signalbox.errors import BundleError

LEAST_TEXTS = 16
_MOST_TEXTS = 2000
_MOST_BYTES = 64 << 20


def shipped_texts() -> list[str]:
    """Return the texts that ship, and longer ones made of four and of eight neighbours."""
    content = (files("signalbox.bundles.export") / "calibration.txt").read_text(encoding="utf-8")
    texts = [text.strip() for text in content.split("\n%%\n")]
    longer = ["\n\n".join(texts[at : at + size]) for size in (4, 8) for at in range(0, len(texts) - size + 1, size)]
    return texts + longer


def texts_of(file: Path | None) -> list[str]:
    """Return an operator's own texts, one in a line, or those that ship. Raises BundleError for too few."""
    if file is None:
        return shipped_texts()
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise BundleError.single(
                str(file), f"{file.stat().st_size} bytes", expected=f"at most {_MOST_BYTES}", fix="take a sample"
            )
        texts = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as problem:
        raise BundleError.single(
            str(file), f"cannot be read: {problem}", expected="UTF-8, a text in a line"
        ) from problem
    if not LEAST_TEXTS <= len(texts) <= _MOST_TEXTS:
        raise BundleError.single(
            str(file), f"{len(texts)} texts", expected=f"{LEAST_TEXTS} to {_MOST_TEXTS}, one in a line"
        )
    return texts
