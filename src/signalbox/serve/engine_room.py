"""What a worker's engines need of it: its share of the cores, and a folder for weights it shares with the others."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from signalbox.policy.schema import Policy

if TYPE_CHECKING:
    from signalbox.engines.open import Engines

PREPARED = "engines"  # folder of the run directory
SWITCH_SECONDS = 0.001


class EngineRoom:
    """Opens the engines of each policy a worker gets.

    cores: this worker's share; 0 for all there are. workers: how many there are, which share what a policy grants.
    """

    def __init__(self, run_dir: Path, cores: int, workers: int = 1) -> None:
        self.workers = workers
        self._prepared = run_dir / PREPARED
        self._cores = cores or len(os.sched_getaffinity(0))

    def open(self, policy: Policy, before: Engines | None) -> Engines | None:
        """Return the engines of a policy, warmed up; None if nobody asks one. Takes seconds for large models.

        before: of the policy before. What cannot be opened is said on stderr, and fails whenever it is asked.
        """
        if not policy.needs_engines:
            return None
        # Here, because most workers have none, and need not hold what engines are made of.
        from signalbox.engines.log import EngineLog
        from signalbox.engines.open import open_engines

        log = EngineLog()
        engines = open_engines(policy, before=before, cores=self._cores, prepared=self._prepared, failed=log.failed)
        if engines is not None:
            # Engines run Python between their networks; nobody who serves should wait 5 ms for the interpreter.
            sys.setswitchinterval(SWITCH_SECONDS)
            for notice in engines.notices:
                log.notice(notice)
        return engines
