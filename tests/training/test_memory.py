"""Memory of training processes."""

import subprocess
import sys

import pytest

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
