"""The estimate of memory against what batches take."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.training import tiny

from multiace.training import memory_estimate, train
from multiace.training.memory import OutOfMemory
from multiace.training.memory_estimate import (
    MemoryEstimate,
    estimate_memory,
    extrapolated,
    peak_bytes,
)
from multiace.training.prepare import make_data, read_sets
from multiace.training.state import TrainingState

CPU = torch.device("cpu")


def test_living_tensors_are_counted_from_their_making_to_their_end():
    before = torch.zeros(1000)

    def run() -> None:
        a = torch.zeros(100)  # 400 bytes
        b = a + 1  # 800
        b.view(10, 10).add_(before[:100].view(10, 10))  # nothing new
        del a, b
        c = torch.zeros(150)  # 600
        c.mul_(2)

    assert peak_bytes(run, CPU) == 800


def test_what_is_kept_for_the_backward_pass_is_counted():
    weight = torch.zeros(1000, requires_grad=True)

    def run() -> None:
        values = weight
        for _ in range(5):
            values = values.exp()  # keeps its result
        values.sum().backward()

    assert 5 * 4000 <= peak_bytes(run, CPU) <= 8 * 4000


def _estimate(tmp_path, n_structures, n_in_batch):
    tiny.write(tmp_path / "train.xyz", tiny.molecules(n_structures))
    config = tiny.config(tmp_path, batch={"structures": n_in_batch}, data={"valid": 1})
    state = TrainingState(tiny.potential(dtype=torch.float64), config)
    data = make_data(read_sets(config), state.potential, config)
    return state, data.training, config


def test_a_batch_that_was_not_tried_is_estimated_within_a_tenth(tmp_path, monkeypatch):
    state, examples, config = _estimate(tmp_path, 61, 60)
    tried: list[int] = []
    original = memory_estimate.collate

    def collate(members):
        tried.append(len(members))
        return original(members)

    monkeypatch.setattr(memory_estimate, "collate", collate)
    exact = estimate_memory(state, examples, config)  # it is small enough to be tried
    assert (exact.structures, exact.atoms, exact.edges) == (60, 180, 360)
    assert tried[-1] == 60
    monkeypatch.setattr(memory_estimate, "TRIED", (12, 48))
    estimate = estimate_memory(state, examples, config)
    assert estimate.bytes == pytest.approx(exact.bytes, rel=0.1)
    assert tried[-2:] == [2, 8]


def test_an_estimate_leaves_no_trace_in_the_state(tmp_path):
    state, examples, config = _estimate(tmp_path, 5, 2)
    before = {name: value.clone() for name, value in state.tensors().items()}
    estimate_memory(state, examples, config)
    after = state.tensors()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.grad is None for parameter in state.parameters.values())


def test_large_structures_are_estimated_from_small_ones():
    found = [(3, 6, 1000 + 3 * 100 + 6 * 50), (8, 40, 1000 + 8 * 100 + 40 * 50),
             (30, 60, 1000 + 30 * 100 + 60 * 50)]  # fmt: skip
    assert extrapolated(found, 500, 9000) == pytest.approx(1000 + 500 * 100 + 9000 * 50)
    assert extrapolated([(4, 10, 500)], 40, 100) == 5000


GIGABYTE = 10**9


def _of(size: float, free: float, total: float) -> MemoryEstimate:
    return MemoryEstimate(5, 135, 4000, *(int(n * GIGABYTE) for n in (size, free, total)))


def test_the_note_names_the_batch_and_what_is_free():
    estimate = _of(1.25, 18.0, 24.0)
    assert str(estimate) == (
        "Memory: about 1.2 GB for the largest batch (5 structures, 135 atoms, 4,000 edges); "
        "18 GB are free."
    )
    assert estimate.check() is None


def test_a_batch_that_hardly_fits_is_warned_of_with_the_way_out():
    assert "batch: {edges: 3555}" in (_of(9.0, 10.0, 24.0).check() or "")


def test_a_batch_that_can_never_fit_is_refused_before_the_run():
    with pytest.raises(OutOfMemory, match=r"about 30 GB .* has 24 GB in all.*edges: 1920"):
        _of(30.0, 18.0, 24.0).check()


def test_a_run_says_what_its_largest_batch_needs_and_ends_if_there_is_less(tmp_path, monkeypatch):
    result = train(tiny.config(tmp_path, epochs=1), progress="none")
    assert (
        "kB for the largest batch (2 structures, 6 atoms, 12 edges)"
        in (result.out / "log.txt").read_text()
    )
    monkeypatch.setattr(memory_estimate, "memory_of", lambda _: (9_000, 10_000))
    with pytest.raises(OutOfMemory, match=r"2 structures, 6 atoms, 12 edges.*10 kB in all"):
        train(tiny.config(tmp_path, out=str(tmp_path / "other")), progress="none")


_STEP = r"""
import re, sys, torch
from multiace.design import Statistics
from multiace.geometry import batch_graphs, build_graph
from multiace.potential import Potential
from multiace.presets import PRESETS
from multiace.training.memory_estimate import ALLOCATED, extrapolated, peak_bytes
from tests.training import tiny

torch.set_num_threads(1)
statistics = Statistics(mean_neighbours=2.0, atomic_energies=tiny.ENERGIES)
potential = Potential(PRESETS["botnet"]("small"), (1, 8), statistics, seed=0)
graph = build_graph(tiny.molecules(1)[0], potential.cutoff, potential.elements)
graph = graph.to("cpu", potential.dtype)
def step(n):
    batch = batch_graphs([graph] * n)
    prediction = potential(batch, forces=True, stress=False)
    (prediction.energy.sum() + prediction.forces.square().sum()).backward()
    for parameter in potential.parameters():
        parameter.grad = None
def peak():  # ru_maxrss would begin with that of the process that started this one
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1])
step(40)
found = [(3 * n, 6 * n, peak_bytes(lambda: step(n), torch.device("cpu"))) for n in (40, 160)]
n = int(sys.argv[1])
before = peak()
step(n)
print(round(ALLOCATED * extrapolated(found, 3 * n, 6 * n)), peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_estimate_is_what_a_process_grows_by():
    command = [sys.executable, "-c", _STEP, "8000"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    estimate, grown = map(int, output.split())
    assert estimate == pytest.approx(grown, rel=0.15)
    assert estimate > 3e8


def test_free_memory_is_read_where_the_system_tells():
    free, total = memory_estimate.memory_of(CPU)
    if free is None or total is None:
        pytest.skip("this system has no /proc/meminfo")
    assert 0 < free <= total
    assert replace(_of(1, 1, 1), free=None).check() is None
    assert np.isfinite(total)
