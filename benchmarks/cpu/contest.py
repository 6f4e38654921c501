"""Time a peer and multiace in one process: the peer's environment, with multiace installed.

    PYTHON_OF_PEER -m benchmarks.cpu.contest PEER OUT [options of benchmarks.cpu.run]

writes a JSON file, which `benchmarks.cpu.run` merges.
"""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from benchmarks.cpu.cases import Case, Options, grid, headline
from benchmarks.cpu.check import check_edges, check_energy_forces, check_training_step
from benchmarks.cpu.measure import Effort, in_turns, machine
from benchmarks.cpu.options import add_options, options_of, parser, words
from benchmarks.cpu.ours import Ours, Peer
from benchmarks.cpu.systems import jitters

from multiace import ASECalculator

Contenders = dict[str, Callable[[], object]]


class Contest:
    """One case: both codes with the same weights.

    Args:
        case: model and structures.
        options: of the run.
        threads: torch's, and so ours.
    """

    def __init__(self, case: Case, options: Options, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        self.case, self.options, self.threads = case, options, threads
        self.peer = case.make("float32")
        self.ours = Ours(case.peer, self.peer, case.structures, "float32")
        self.positions = case.structures[0].positions.copy()
        self.checks: dict[str, Any] = {"edges": check_edges(self.ours, self.peer)}
        self.failures: dict[str, str] = {}
        self.compile_seconds: dict[str, float] = {}

    # ---- correctness --------------------------------------------------------------------------

    def check_float64(self) -> None:
        """Compare both codes in float64, energies, forces and gradients of the loss."""
        peer = self.case.make("float64")
        ours = Ours(self.case.peer, peer, self.case.structures, "float64")
        self._compare("float64", ours, peer, "eager")

    def check_float32(self, mode: str = "eager") -> None:
        """Compare both codes in float32, and the plan with splines."""
        self._compare("float32", self.ours, self.peer, mode)
        theirs = self.peer.energy_forces(self.positions, mode)
        mine = self.ours.plan(self.positions, exact=False)
        self.checks["spline"] = check_energy_forces("spline", mine, theirs) | {
            "largest_radial_error_over_largest_value": self.ours.spline.spline_error
        }

    def _compare(self, name: str, ours: Ours, peer: Peer, mode: str) -> None:
        theirs = peer.energy_forces(self.positions, mode)
        of_autograd = check_energy_forces(name, ours.autograd(self.positions), theirs)
        of_plan = check_energy_forces(name, ours.plan(self.positions, exact=True), theirs)
        self.checks[name] = {
            "autograd": of_autograd,
            "plan": of_plan,
            "training": check_training_step(name, ours, peer, mode, traced=False),
            "traced training": check_training_step(name, ours, peer, mode, traced=True),
        }

    # ---- contenders ---------------------------------------------------------------------------

    def energy_forces(self) -> dict[str, Any]:
        """Time energies and forces, the graph being there."""
        contenders: Contenders = {}
        for mode in self._working("energy_forces", self.peer.energy_forces, self.positions):
            contenders[f"peer {mode}"] = self._moving(partial(self.peer.energy_forces, mode=mode))
        contenders |= {
            "exact": self._moving(partial(self.ours.plan, exact=True)),
            "spline": self._moving(partial(self.ours.plan, exact=False)),
            "autograd": self._moving(self.ours.autograd),
        }
        return self._time(contenders)

    def training_step(self, *, optimiser: bool = False) -> dict[str, Any]:
        """Time forward, forces, loss and gradients of all weights; and a step of Adam."""
        contenders: Contenders = {}
        for mode in self._working("training", self.peer.training_step):
            step = partial(self.peer.training_step, mode)
            parameters = partial(self.peer.parameters, mode)
            contenders[f"peer {mode}"] = _followed(step, parameters) if optimiser else step
        for name, traced in (("traced", True), ("autograd", False)):
            step = partial(self.ours.training_step, traced=traced)
            contenders[name] = _followed(step, self.ours.parameters) if optimiser else step
        return self._time(contenders)

    def calculator(self) -> dict[str, Any]:
        """Time the ASE calculators as they come: positions in, energy, forces and stress out.

        Ours searches neighbours again once atoms have moved by half its skin, which these do not.
        """
        calculators = {
            f"peer {mode}": partial(self.peer.calculator, mode)
            for mode in self.options.modes_of(self.case.peer, "energy_forces")
            if mode == "eager" or (mode == "compiled" and self.case.peer == "nequip")
        }
        calculators["exact"] = partial(ASECalculator, self.ours.potential, exact=True)
        calculators["spline"] = partial(ASECalculator, self.ours.potential)
        contenders: Contenders = {}
        for name, make in calculators.items():
            atoms = self.case.structures[0].copy()
            atoms.calc = make()
            contenders[name] = self._moving(partial(_step, atoms))
        return self._time(contenders)

    def memory(self, modes: tuple[str, ...]) -> dict[str, Any]:
        """Measure the peak memory of a training step of both, each in a process of its own."""
        sides = ["ours", *(f"peer {mode}" for mode in modes)]
        return {side: self._memory_of(side) for side in sides}

    def _memory_of(self, side: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "benchmarks.cpu.memory", self.case.peer, self.case.name]
        command += [side, *words(self.options)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 and side == "ours":
            raise RuntimeError(done.stderr)
        if done.returncode != 0:
            return {"failed": done.stderr.strip().splitlines()[-1]}
        return json.loads(done.stdout.splitlines()[-1])

    def _working(self, purpose: str, function: Callable, *arguments: Any) -> Iterator[str]:
        """Go through the modes of the peer that work, compiled and with the right results."""
        expected = function(*arguments, mode="eager")
        for mode in self.options.modes_of(self.case.peer, purpose):
            start, name = time.monotonic(), f"{purpose} {mode}"
            if name in self.failures:
                continue
            try:
                with _patience(self.options.patience):
                    result = function(*arguments, mode=mode)
            except Exception as error:
                self.failures[name] = _first_line(error)
                traceback.print_exc(limit=1)
                continue
            self.compile_seconds[name] = round(time.monotonic() - start, 1)
            torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-3)
            yield mode

    def _moving(self, function: Callable[[Any], object]) -> Callable[[], object]:
        """Call a function with positions that differ each time, the same for all contenders."""
        displacements = cycle(jitters(len(self.positions)))
        return lambda: function(self.positions + next(displacements))

    def _time(self, contenders: Contenders) -> dict[str, Any]:
        effort = Effort(rounds=2, seconds=0.0) if self.options.tiny else Effort()
        times, load = in_turns(contenders, effort, threads=self.threads)
        return {"threads": self.threads, "times": times, "load": load}


def _followed(step: Callable[[], object], parameters: Callable[[], dict]) -> Callable[[], object]:
    """Return a step with a step of Adam behind it; the rate is too small to change a thing."""
    optimiser: list[torch.optim.Optimizer] = []

    def both() -> None:
        step()
        if not optimiser:
            optimiser.append(torch.optim.Adam(parameters().values(), lr=1e-9, amsgrad=True))
        optimiser[0].step()

    return both


def _step(atoms: Atoms, positions: Any) -> tuple[float, Any]:
    atoms.positions = positions
    return atoms.get_potential_energy(), atoms.get_forces()


@contextmanager
def _patience(seconds: int) -> Iterator[None]:
    """Raise TimeoutError after some seconds."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"not there after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def run_headline(case: Case, options: Options) -> dict[str, Any]:
    """Check and time a case of the headline set."""
    contest = Contest(case, options)
    contest.check_float64()
    contest.check_float32()
    record = {"peer": case.peer, "about": case.about}
    if case.energy_forces:
        record["energy_forces"] = contest.energy_forces()
        record["calculator"] = contest.calculator()
    record["training_step"] = contest.training_step()
    record["training_step_with_optimiser"] = contest.training_step(optimiser=True)
    modes = [name[5:] for name in record["training_step"]["times"] if name.startswith("peer")]
    record["memory_of_training_step"] = contest.memory(tuple(modes))
    return record | _outcome(contest)


def run_grid(case: Case, threads: int, options: Options) -> dict[str, Any]:
    """Check and time a case of the full grid."""
    contest = Contest(case, options, threads)
    contest.check_float32()
    record = {
        "peer": case.peer,
        "about": case.about,
        "energy_forces": contest.energy_forces(),
        "training_step": contest.training_step(),
    }
    return record | _outcome(contest)


def _outcome(contest: Contest) -> dict[str, Any]:
    return {
        "kernels": contest.ours.potential.kernels.label,
        "checks": contest.checks,
        "first_call_of_modes_s": contest.compile_seconds,
        "modes_that_failed": contest.failures,
    }


PACKAGES = ("mace-torch", "nequip", "e3nn", "torch", "numpy", "ase", "multiace")


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def main() -> None:
    """Run the cases of one peer."""
    arguments_of = parser(__doc__)
    arguments_of.add_argument("peer", choices=["mace", "nequip"])
    arguments_of.add_argument("out", type=Path)
    add_options(arguments_of)
    arguments = arguments_of.parse_args()
    options = options_of(arguments)
    warnings.simplefilter("ignore")
    content: dict[str, Any] = {"versions": _versions(), "machine": machine(), "cases": {}}
    for case in headline(arguments.peer, options):
        if not options.wants(case.name):
            continue
        content["cases"][case.name] = run_headline(case, options)
        arguments.out.write_text(json.dumps(content))
        gc.collect()
    if arguments.full:
        content["grid"] = {}
        for case, threads in grid(arguments.peer, options):
            name = f"{case.name}_threads{threads}"
            if not options.wants(name):
                continue
            content["grid"][name] = run_grid(case, threads, options)
            arguments.out.write_text(json.dumps(content))
            gc.collect()


if __name__ == "__main__":
    main()
