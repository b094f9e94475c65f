"""The libraries' own reports kept off the terminal: tracing says hundreds of lines that nobody can act on."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_BARS = {"TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, log lines and progress bars of everything that runs inside."""
    before, level = {name: os.environ.get(name) for name in _BARS}, logging.root.manager.disable
    logging.disable(logging.WARNING)
    os.environ.update(_BARS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
