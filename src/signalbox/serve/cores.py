"""How many cores this process may use: a container on a large machine sees all of them and is given few."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")  # a container's own group is the root of what it sees


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Return the cores it may run on, or those its CPU limit is worth if that is less, rounded up."""
    cores = len(os.sched_getaffinity(0))
    share = cpu_limit(cgroup)
    return cores if share is None else max(1, min(cores, ceil(share)))


def cpu_limit(cgroup: Path = CGROUP) -> float | None:
    """Return the limit on CPU time as a number of cores, of version 2 or 1 of control groups; None without one."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # `max`: no limit
        return None
    return share if share > 0 else None  # -1: no limit, in version 1
