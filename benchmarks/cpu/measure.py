"""Timing in turns, and what else the numbers depend on: load, machine, versions."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

LOAD_LIMIT = 1.5
"""Largest load average over a minute, our own process included, of a valid result on one thread."""

OTHERS_LIMIT = 0.3
"""Most processors that others may use on average while a valid result is measured."""

AGREEMENT = 0.05
"""Warm-up ends when three calls in a row agree this well, or after `MOST_WARM_UP` calls."""

MOST_WARM_UP = 10


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Args:
        rounds: every contender has its turn in each, in alternating order.
        seconds: of calls in a turn, at least one call.
        most: calls in a turn.
    """

    rounds: int = 5
    seconds: float = 0.6
    most: int = 20


class Load:
    """The load of the machine from here on."""

    def __init__(self) -> None:
        self.before = self.largest = os.getloadavg()[0]
        self._start, self._busy, self._own = time.monotonic(), _busy(), _own()

    def look(self) -> None:
        """Take note of the load average."""
        self.largest = max(self.largest, os.getloadavg()[0])

    def record(self, threads: int = 1) -> dict[str, Any]:
        """Return what was seen, and whether timings of that while are valid."""
        self.look()
        elapsed = max(time.monotonic() - self._start, 1e-3)
        others = max(0.0, (_busy() - self._busy) - (_own() - self._own)) / elapsed
        limit = LOAD_LIMIT + threads - 1
        return {
            "load_before": self.before,
            "load_largest": self.largest,
            "load_limit": limit,
            "processors_used_by_others": round(others, 3),
            "others_limit": OTHERS_LIMIT,
            "valid": max(self.before, self.largest) <= limit and others <= OTHERS_LIMIT,
        }


def _busy() -> float:
    """Return the seconds that all processors together have worked."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    times = os.times()
    return times.user + times.system


@dataclass
class Times:
    """Times of one contender in seconds: on the processor, and on the wall."""

    warm_up: int = 0
    first_call: float = 0.0
    processor: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def call(self, function: Callable[[], object], *, keep: bool = True) -> float:
        """Time one call and return its wall time."""
        start, start_wall = time.thread_time(), time.perf_counter()
        function()
        wall = time.perf_counter() - start_wall
        if keep:
            self.processor.append(time.thread_time() - start)
            self.wall.append(wall)
        return wall

    def record(self) -> dict[str, Any]:
        """Return the statistics in milliseconds."""
        return {
            "processor_ms": _statistics(self.processor),
            "wall_ms": _statistics(self.wall),
            "calls": len(self.wall),
            "warm_up_calls": self.warm_up,
            "first_call_s": round(self.first_call, 3),
        }


def _statistics(seconds: list[float]) -> dict[str, float]:
    low, median, high = np.percentile(seconds, [25, 50, 75]) * 1e3
    return {"median": median, "iqr": high - low, "min": min(seconds) * 1e3}


def in_turns(
    contenders: Mapping[str, Callable[[], object]], effort: Effort, *, threads: int = 1
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Time functions in turns, round after round, forwards and backwards.

    Args:
        contenders: name -> what to time; compiled and warm when this is called, or not.
        effort: how long.
        threads: what torch is set to; decides which load is too much.

    Returns:
        Name -> statistics, and the load; compilation and warm-up come before both.
    """
    times = {name: Times() for name in contenders}
    pace = {name: _warm_up(contenders[name], times[name]) for name in contenders}
    load = Load()
    for number in range(effort.rounds):
        order = list(contenders) if number % 2 == 0 else list(contenders)[::-1]
        for name in order:
            times[name].call(contenders[name], keep=False)
            calls = min(effort.most, max(1, int(effort.seconds / pace[name])))
            for _ in range(calls):
                times[name].call(contenders[name])
            load.look()
    return {name: taken.record() for name, taken in times.items()}, load.record(threads)


def _warm_up(function: Callable[[], object], times: Times) -> float:
    """Call until three calls agree; return the last wall time."""
    times.first_call = times.call(function, keep=False)
    taken = [time_of_call(function) for _ in range(2)]
    while len(taken) < MOST_WARM_UP:
        taken.append(time_of_call(function))
        last = taken[-3:]
        if max(last) - min(last) <= AGREEMENT * min(last):
            break
    times.warm_up = 1 + len(taken)
    return max(taken[-1], 1e-6)


def time_of_call(function: Callable[[], object]) -> float:
    """Return the processor time of one call in seconds."""
    start = time.thread_time()
    function()
    return time.thread_time() - start


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "flags": [flag for flag in _cpuinfo("flags").split() if flag in _FLAGS],
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_config": torch.__config__.show(),
        "torch_parallel": torch.__config__.parallel_info(),
    }


_FLAGS = {"fma", "avx", "avx2", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16"}


def _processor() -> str:
    numbers = (_cpuinfo(key) for key in ("cpu family", "model", "stepping"))
    return f"{_cpuinfo('model name')}, family/model/stepping {'/'.join(numbers)}"


def _cpuinfo(key: str) -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    fields = (line.split(":", 1) for line in lines if ":" in line)
    return next((value.strip() for name, value in fields if name.strip() == key), "unknown")


def commit() -> dict[str, Any]:
    """Return the commit of this checkout, and whether files differ from it."""
    root = Path(__file__).resolve().parents[2]
    git = ["git", "-C", str(root)]
    try:
        name = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
        changes = subprocess.run([*git, "status", "--short"], capture_output=True, text=True)
    except OSError:
        return {"commit": None, "changed": None}
    return {"commit": name.stdout.strip() or None, "changed": bool(changes.stdout.strip())}
