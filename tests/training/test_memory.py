"""Memory of training processes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from tests.training import tiny

from multiace.training import gradients, loop, train
from multiace.training.memory import OutOfMemory, is_out_of_memory

_FAULTS = """
import resource, sys
import numpy as np
from multiace.training.memory import keep_freed_memory

kept = keep_freed_memory() if sys.argv[1] == "keep" else False
def fill():
    [np.ones(2_000_000) for _ in range(5)]
for _ in range(3):
    fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    fill()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    def faults(mode: str) -> tuple[int, int]:
        command = [sys.executable, "-c", _FAULTS, mode]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        kept, count = map(int, output.split())
        return kept, count

    kept, few = faults("keep")
    if not kept:
        pytest.skip("the C library of this system has no mallopt")
    assert few < 100
    assert faults("default")[1] > 20 * max(few, 50)


_PEAK = """
from multiace.training.memory import peak_resident
before = peak_resident()
block = bytearray(b"x") * 200_000_000
print(before, peak_resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere it is the system's")
def test_the_peak_of_a_process_does_not_begin_with_that_of_its_parent() -> None:
    block = np.ones(150_000_000)  # 1.2 GB
    output = subprocess.run(
        [sys.executable, "-c", _PEAK], capture_output=True, text=True, check=True
    ).stdout
    before, more = map(int, output.split())
    assert before < block.nbytes
    assert more == pytest.approx(2e8, rel=0.05)


def _allocate_too_much_on_the_cpu() -> None:
    torch.empty(2**60, dtype=torch.uint8)


def _allocate_too_much_with_numpy() -> None:
    np.zeros(2**50, dtype=np.uint8)


def _run_out_on_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


@pytest.mark.parametrize(
    "fail", [_allocate_too_much_on_the_cpu, _allocate_too_much_with_numpy, _run_out_on_a_gpu]
)
def test_memory_that_ran_out_is_told_from_other_errors(fail) -> None:
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        fail()
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("size mismatch"))


@pytest.mark.parametrize(("where", "n_structures"), [("step", 2), ("validation", 3)])
def test_a_batch_that_does_not_fit_is_named_with_its_structures(
    tmp_path, monkeypatch, where, n_structures
) -> None:
    original = loop.loss_terms

    def full(prediction, targets, config):
        if len(targets.energy) == n_structures:
            _allocate_too_much_on_the_cpu()
        return original(prediction, targets, config)

    monkeypatch.setattr(loop, "loss_terms", full)
    monkeypatch.setattr(gradients, "loss_terms", full)
    message = rf"Out of memory in {where} \d, whose batch has {n_structures} structures, "
    with pytest.raises(OutOfMemory, match=message) as caught:
        train(tiny.config(tmp_path, epochs=1), progress="none")
    assert "train.xyz:" in str(caught.value)
    assert "(3 atoms, 6 edges)" in str(caught.value)
    assert f"Set batch: {{edges: {6 * n_structures // 2}}} in place of {{structures: 2}}" in str(
        caught.value
    )
    assert str(caught.value) in (tmp_path / "run" / "log.txt").read_text()
    (path,) = (tmp_path / "run").glob(f"out-of-memory-*-{where}.json")
    content = json.loads(path.read_text())
    assert [member["edges"] for member in content["structures"]] == [6] * n_structures
    assert all("train.xyz:" in member["source"] for member in content["structures"])
