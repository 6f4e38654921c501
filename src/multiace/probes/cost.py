"""`multiace probe cost`: operations, bytes, measured time and memory."""

from __future__ import annotations

import ctypes
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch

from multiace.deploy.evaluator import Evaluator
from multiace.design.cost import cost as design_cost
from multiace.geometry import Structure, neighbour_list
from multiace.probes.result import Number, ProbeResult, Table, Value
from multiace.probes.surface import Subject, Surface, surface

MOVE = 1e-3
"""Å by which atoms are moved between repetitions, so that nothing is remembered."""

SECONDS = 1.0
"""For which a structure is evaluated at least, once warm."""


def cost(
    subject: Subject, structures: Sequence[Structure], *, seconds: float = SECONDS
) -> ProbeResult:
    """Count operations and measure time and memory of energy and forces, one structure at a time.

    A model runs as it does in molecular dynamics: as a plan with splines where its kernels have an
    executor, otherwise as it is. Operations and bytes are those of an ideal implementation in
    float32, see `multiace.design.cost`.

    Args:
        subject: what to look at.
        structures: of one or more sizes; numbers are for the last, the table has all.
        seconds: how long each is evaluated; the median counts.

    Returns:
        Times with the number of threads, the device and the dtype they were measured with.

    Raises:
        ValueError: no structures.
    """
    if not structures:
        raise ValueError("Cost is measured on structures: give at least one.")
    found = surface(subject)
    evaluate = _evaluate(found)
    rows = [_measure(found, evaluate, structure, seconds) for structure in structures]
    columns = (
        ("atoms", ""),
        ("neighbours", ""),
        ("time", "ms"),
        ("time an atom", "µs"),
        ("memory", "MB"),
    )
    table = Table("cost", "energy and forces of one structure", columns, tuple(rows))
    numbers = _numbers(found, rows[-1])
    return ProbeResult("cost", found.name, tuple(numbers), (table,), settings=_settings(found))


def peak_memory(work: Callable[[], Any], device: torch.device) -> float | None:
    """Return the memory that some work takes beyond what was taken before, bytes.

    On a GPU what torch allocates; on the CPU of Linux how far the peak of the resident set of the
    process rises above what is in use, in steps of pages; elsewhere None.

    Args:
        work: what to do.
        device: where it is done.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return float(torch.cuda.max_memory_allocated(device) - before)
    clear, status = FilePath("/proc/self/clear_refs"), FilePath("/proc/self/status")
    if not (clear.exists() and os.access(clear, os.W_OK)):
        return None
    _give_back_free_memory()
    clear.write_text("5")  # resets the peak, see proc(5)
    before = _status(status, "VmRSS")
    work()
    return float(max(_status(status, "VmHWM") - before, 0))


def _give_back_free_memory() -> None:
    """Return to the system what the C library keeps of freed memory: it would hide new use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc, not of musl
    if trim is not None:
        trim(0)


def _status(status: FilePath, key: str) -> int:
    for line in status.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"{status} has no {key}.")


def _evaluate(found: Surface) -> Callable[[Structure], Any]:
    if found.potential is not None:
        return Evaluator(found.potential).evaluate
    return lambda structure: found.evaluate([structure])


def _device(found: Surface) -> torch.device:
    if found.potential is None:
        return torch.device("cpu")
    return next(found.potential.parameters()).device


def _measure(
    found: Surface, evaluate: Callable[[Structure], Any], structure: Structure, seconds: float
) -> tuple[Value, ...]:
    rng = np.random.default_rng(0)
    device = _device(found)

    def moved() -> Structure:
        move = rng.uniform(-MOVE, MOVE, size=structure.positions.shape)
        return Structure(
            structure.numbers, structure.positions + move, structure.cell, structure.pbc
        )

    memory = peak_memory(lambda: evaluate(moved()), device)
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        next_structure = moved()
        start = time.perf_counter()
        evaluate(next_structure)  # its results are on the CPU, so a GPU has finished
        times.append(time.perf_counter() - start)
    median = statistics.median(times)
    neighbours = None
    if found.cutoff is not None:
        edges = neighbour_list(structure, found.cutoff)
        neighbours = len(edges.senders) / structure.n_atoms
    return (
        structure.n_atoms,
        neighbours,
        1e3 * median,
        1e6 * median / structure.n_atoms,
        None if memory is None else memory / 1e6,
    )


def _numbers(found: Surface, row: tuple[Value, ...]) -> list[Number]:
    atoms, neighbours, milliseconds, microseconds, memory = row
    assert isinstance(milliseconds, float)
    numbers = [
        Number("atoms", atoms, "", "of the last structure"),
        Number("time", milliseconds, "ms", "energy and forces, median"),
        Number("time_per_atom", microseconds, "µs", "the same by atom"),
        Number("steps_per_second", 1e3 / milliseconds, "1/s", "evaluations in a second"),
        Number("memory", memory, "MB", "peak of the first evaluation, beyond what was taken"),
    ]
    potential = found.potential
    if potential is None or not isinstance(neighbours, float) or not isinstance(atoms, int):
        return numbers
    ideal = design_cost(potential.design, len(potential.elements), neighbours)
    speed = ideal.flops_forces * atoms / (1e-3 * milliseconds)
    return [
        *numbers,
        Number("parameters", potential.n_parameters, "", "trained weights"),
        Number("neighbours", neighbours, "", "within the cutoff, mean"),
        Number("flops_energy", ideal.flops_energy, "1/atom", "operations of the energy"),
        Number("flops_forces", ideal.flops_forces, "1/atom", "of energy and forces"),
        Number(
            "bytes_fused", ideal.bytes_fused, "B/atom", "if nothing by edge and channel is kept"
        ),
        Number("bytes_unfused", ideal.bytes_unfused, "B/atom", "if weights and messages are kept"),
        Number("gflops", speed / 1e9, "GFLOP/s", "counted operations over measured time"),
    ]


def _settings(found: Surface) -> dict[str, Any]:
    settings: dict[str, Any] = {"threads": torch.get_num_threads()}
    if found.potential is not None:
        settings["device"] = str(_device(found))
        settings["dtype"] = str(found.potential.dtype).removeprefix("torch.")
        settings["kernels"] = found.potential.kernels.label
    return settings
