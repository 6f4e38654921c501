"""Measure the peak memory of one training step above the loaded process.

    PYTHON_OF_PEER -m benchmarks.cpu.memory PEER CASE SIDE [options of benchmarks.cpu.run]

prints a line of JSON. SIDE is `ours` or `peer MODE`. A first step warms up; what it left is given
back to the system, the kernel's record of the peak is reset, and the second step counts.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from benchmarks.cpu.cases import Options, headline
from benchmarks.cpu.options import add_options, options_of, parser
from benchmarks.cpu.ours import Ours


def peak_above(step: Callable[[], object], parameters: Callable[[], dict]) -> dict[str, float]:
    """Return peak memory of a step above what the process has before, and that, in MiB."""
    step()
    for parameter in parameters().values():
        parameter.grad = None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _status("VmRSS")
    step()
    return {"above_mib": _status("VmHWM") - before, "before_mib": before}


def _status(name: str) -> float:
    """Return an entry of /proc/self/status in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


def measure(peer_name: str, name: str, side: str, options: Options) -> dict[str, float]:
    """Measure one side of a case."""
    torch.set_num_threads(1)
    (case,) = (case for case in headline(peer_name, options) if case.name == name)
    peer = case.make("float32")
    if side == "ours":
        ours = Ours(case.peer, peer, case.structures, "float32")
        del peer
        return peak_above(partial(ours.training_step, traced=True), ours.parameters)
    mode = side.split()[1]
    return peak_above(lambda: peer.training_step(mode), lambda: peer.parameters(mode))


def main() -> None:
    """Measure what the command line says."""
    arguments_of = parser(__doc__)
    for name in ("peer", "case", "side"):
        arguments_of.add_argument(name)
    add_options(arguments_of)
    arguments = arguments_of.parse_args()
    warnings.simplefilter("ignore")
    result = measure(arguments.peer, arguments.case, arguments.side, options_of(arguments))
    sys.stdout.write("\n" + json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
