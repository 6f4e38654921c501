"""How many runs fit on this machine at a time."""

from __future__ import annotations

import os
from pathlib import Path

from multiace.study.study import Study

GIGABYTES_OF_A_RUN = 1.0
"""Memory of a run that was not measured."""

_SPARE = 0.9
"""Part of the memory that is free now which runs may take."""


def workers_that_fit(study: Study, gigabytes: float = GIGABYTES_OF_A_RUN) -> int:
    """Return the number of runs, at least 1, that cores and free memory allow.

    Args:
        study: says the threads of a run.
        gigabytes: memory of a run.
    """
    by_cores = n_cores() // study.config.threads
    free = free_gigabytes()
    by_memory = by_cores if free is None else int(_SPARE * free / gigabytes)
    return max(1, min(by_cores, by_memory))


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_gigabytes() -> float | None:
    """Return the memory that is free, or taken by files that can be dropped; None if unknown."""
    path = Path("/proc/meminfo")
    if not path.exists():
        return None
    for line in path.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024 / 1e9
    return None
