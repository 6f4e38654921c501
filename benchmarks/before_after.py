"""Time two versions of multiace against each other, in short bursts by turns.

    python -m benchmarks.before_after --before PYTHON --after PYTHON [--out [FILE]]

Each side is a process of its own Python (`benchmarks.side`) that stays alive. A case is timed in
rounds; in each, every side has a burst of calls, and the ratio is that of the bursts of a round.
`--growth` adds time and memory by the number of atoms, `--busy` one and two threads with a busy
second core. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.cpu.measure import machine

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "results" / "before_after.json"
SMALL = ("botnet_small", "nequip_small", "mace_small")
CASES = (
    *(f"{model}-si64-{plan}" for model in ("mace128", "nequip32") for plan in ("exact", "spline")),
    *(f"mace128-si64-{way}" for way in ("traced", "autograd")),
    *(f"mace64-3bpa5-{way}" for way in ("traced", "autograd")),
    *(f"nequip32-si64twice-{way}" for way in ("traced", "autograd")),
    *(f"{model}-{system}-spline" for model in SMALL for system in ("mol9", "si64")),
    *(f"{model}-{system}-calculator" for model in SMALL for system in ("mol9", "si64")),
)
BITS = ("mace128", "nequip32", *SMALL, "mace32x0e")
GROWTH = {"mace32x0e": (2, 4, 8), "mace128x0e1o": (2, 8)}
"""Model -> repeats of the cubic cell of eight silicon atoms."""
BUSY = ("mace128-si64-exact", "mace128-si64-spline", "mace_small-si64-spline")
SIDES = ("before", "after")
PINNED = ("taskset", "-c", "0")
"""Both sides on the same core, as only one of them computes at a time."""
MOST_CALLS = 400


class Side:
    """A process of one side."""

    def __init__(self, prefix: Sequence[str], interpreter: str, threads: int = 1) -> None:
        self._process = subprocess.Popen(
            [*prefix, interpreter, "-m", "benchmarks.side"],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *request: Any) -> Any:
        """Send a request and return the answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise SystemExit(f"The process that was asked for {request} has ended; see above.")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextlib.contextmanager
def both_sides(
    options: argparse.Namespace, *prefix: str, threads: int = 1
) -> Iterator[dict[str, Side]]:
    """Start both sides, and end them."""
    prefix = ("nice", "-n", str(options.nice), *prefix)
    sides = {name: Side(prefix, getattr(options, name), threads) for name in SIDES}
    try:
        yield sides
    finally:
        for side in sides.values():
            side.close()


def in_turns(
    contenders: dict[str, tuple[Side, str, int]], options: argparse.Namespace, clock: str
) -> dict[str, list[float]]:
    """Return the time of each contender in each round, in ms.

    Args:
        contenders: key -> side, case and number of threads.
        options: rounds, and seconds of a burst.
        clock: processor or wall.
    """
    calls = {}
    for key, (side, case, threads) in contenders.items():
        pace = 1e-3 * side("prepare", key, case, threads)
        calls[key] = min(MOST_CALLS, max(2, round(options.seconds / pace)))
    times: dict[str, list[float]] = {key: [] for key in contenders}
    for number in range(options.rounds):
        for key in list(contenders)[:: 1 if number % 2 == 0 else -1]:
            times[key].append(contenders[key][0]("burst", key, calls[key])[clock])
    for side, _, _ in contenders.values():
        side("forget")
    return times


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the quartiles and the minimum."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return {"median": median, "low": low, "high": high, "min": min(values)}


def ratio(one: Sequence[float], two: Sequence[float]) -> dict[str, float]:
    """Return the spread of two / one in the same rounds; `min` is the ratio of the minima."""
    paired = spread([b / a for a, b in zip(one, two, strict=True)])
    return paired | {"min": min(two) / min(one)}


def time_cases(options: argparse.Namespace) -> dict[str, Any]:
    """Time the cases that are wanted on one thread, by the time of the processor.

    The same code runs at slightly different speeds in two processes, so each case has several.
    """
    _print(f"\n{'processor time, one thread':34s} {'before (ms)':>25s} {'after (ms)':>25s}  ratio")
    results = {}
    for case in CASES:
        if not any(fnmatchcase(case, pattern) for pattern in options.only):
            continue
        times: dict[str, list[float]] = {name: [] for name in SIDES}
        for _ in range(options.processes):
            with both_sides(options, *PINNED) as sides:
                found = in_turns({n: (sides[n], case, 1) for n in SIDES}, options, "processor")
            times = {name: times[name] + found[name] for name in SIDES}
        result = {name: spread(values) for name, values in times.items()}
        results[case] = result | {"ratio": ratio(times["before"], times["after"])}
        _print(f"{case:34s} " + "  ".join(_shown(x) for x in results[case].values()))
    return results


def compare_bits(sides: dict[str, Side]) -> dict[str, dict[str, bool]]:
    """See whether plans give the same bits with 1, 2 and 3 threads."""
    results = {name: sides[name]("bits", BITS, "si64") for name in SIDES}
    _print("\nplans with other bits on 1, 2 and 3 threads:")
    for name, same in results.items():
        _print(f"  {name}: {', '.join(k for k, v in same.items() if not v) or 'none'}")
    return results


def time_growth(sides: dict[str, Side], options: argparse.Namespace) -> dict[str, Any]:
    """Time a plan per atom by the number of atoms, and see its memory grow."""
    results: dict[str, Any] = {}
    for model, repeats in GROWTH.items():
        sizes = [8 * n**3 for n in repeats]
        contenders = {
            f"{name} {size}": (sides[name], f"{model}-si{size}-spline", 1)
            for size in sizes
            for name in SIDES
        }
        times = in_turns(contenders, options, "processor")
        _print(f"\n{model}, splines: {'us an atom':>29s} {'of 64 atoms':>25s} {'kB an atom':>12s}")
        for name in SIDES:
            found: dict[str, Any] = {"memory": []}
            for n, size in zip(repeats, sizes, strict=True):
                mine = [1e3 * t / size for t in times[f"{name} {size}"]]
                smallest = [1e3 * t / sizes[0] for t in times[f"{name} {sizes[0]}"]]
                found[str(size)] = {"us": spread(mine), "ratio": ratio(smallest, mine)}
                found["memory"].append(_memory(getattr(options, name), model, n))
                shown = f"{_shown(found[str(size)]['us'])}  {_shown(found[str(size)]['ratio'])}"
                _print(f"  {name:8s} {size:5d}  {shown}")
            first, last = found["memory"][0], found["memory"][-1]
            kept = [m["after"] - m["before"] for m in (first, last)]
            found["kb_per_atom"] = (kept[1] - kept[0]) / (last["atoms"] - first["atoms"])
            peaks = [m["peak"] - m["before"] for m in (first, last)]
            found["peak_kb_per_atom"] = (peaks[1] - peaks[0]) / (last["atoms"] - first["atoms"])
            grown = f"{found['kb_per_atom']:.1f} kB an atom, peak {found['peak_kb_per_atom']:.1f}"
            _print(f"  {name:8s} grows by {grown}")
            results.setdefault(model, {})[name] = found
    return results


def _memory(interpreter: str, model: str, repeats: int) -> dict[str, float]:
    command = [interpreter, "-m", "benchmarks.side", "growth", model, str(repeats)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def time_busy(options: argparse.Namespace) -> dict[str, Any]:
    """Time plans on one and on two threads by the wall while core 1 is busy."""
    results: dict[str, Any] = {}
    _print(
        f"\n{'wall time, core 1 busy':34s} {'1 thread (ms)':>25s} {'2 threads (ms)':>25s}  ratio"
    )
    command = ["nice", "-n", str(options.nice), "taskset", "-c", "1"]
    spinner = subprocess.Popen([*command, sys.executable, "-c", "while True: pass"])
    try:
        with both_sides(options, "taskset", "-c", "0,1", threads=2) as sides:
            for case in BUSY:
                contenders = {
                    f"{name} {n}": (sides[name], case, n) for name in SIDES for n in (1, 2)
                }
                times = in_turns(contenders, options, "wall")
                for name in SIDES:
                    one, two = times[f"{name} 1"], times[f"{name} 2"]
                    found = {"1": spread(one), "2": spread(two), "ratio": ratio(one, two)}
                    results.setdefault(case, {})[name] = found
                    shown = "  ".join(_shown(found[key]) for key in ("1", "2", "ratio"))
                    _print(f"{case + ' ' + name:34s} {shown}")
    finally:
        spinner.kill()
        spinner.wait()
    return results


def _shown(values: dict[str, float]) -> str:
    low, median, high = (f"{values[key]:.4g}" for key in ("low", "median", "high"))
    return f"{median:>8s} {f'[{low} {high}]':>16s}"


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Time both sides, print tables, and write what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in SIDES:
        parser.add_argument(f"--{name}", required=True, type=os.path.abspath, metavar="PYTHON")
    parser.add_argument("--only", nargs="*", default=["*"], help="patterns of names of cases")
    parser.add_argument("--processes", type=int, default=3, help="pairs of processes of a case")
    parser.add_argument("--rounds", type=int, default=15, help="bursts in each process")
    parser.add_argument("--seconds", type=float, default=0.05, help="length of a burst")
    parser.add_argument("--nice", type=int, default=0, help="priority; below 0 needs root")
    parser.add_argument("--growth", action="store_true", help="time and memory by atoms")
    parser.add_argument("--busy", action="store_true", help="threads with a busy second core")
    parser.add_argument("--out", type=Path, nargs="?", const=OUT, help=f"JSON; alone: {OUT}")
    options = parser.parse_args()
    content: dict[str, Any] = {
        "command": f"python -m benchmarks.before_after {' '.join(sys.argv[1:])}",
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "load_before": os.getloadavg(),
    }
    with both_sides(options) as sides:
        content["versions"] = {name: side("about") for name, side in sides.items()}
        for name, version in content["versions"].items():
            _print(f"{name}: {json.dumps(version)}")
        if options.only != ["none"]:
            content["same_bits"] = compare_bits(sides)
    content["cases"] = time_cases(options)
    if options.growth:
        with both_sides(options, *PINNED) as sides:
            content["growth"] = time_growth(sides, options)
    if options.busy:
        content["busy"] = time_busy(options)
    content["load_after"] = os.getloadavg()
    _print(f"\nload average {content['load_before'][0]:.1f} to {content['load_after'][0]:.1f}")
    if options.out:
        options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
