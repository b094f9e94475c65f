"""How far a long run is: a bar on a terminal's standard error, and nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def bar(label: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a bar of `total` steps, and yield what is told how many of them are done."""
    # disable=None: tqdm's own word for "unless it is a terminal".
    with tqdm(total=total, desc=label, leave=False, file=sys.stderr, disable=True if quiet else None) as shown:

        def at(done: int) -> None:
            shown.update(done - shown.n)

        yield at
