"""Benchmark multiace against mace-torch and nequip on a CPU, and write JSON and tables.

    python -m benchmarks.cpu.run --python mace=PATH --python nequip=PATH [--full] [--data FILE]

from the root of the checkout; `make bench-cpu` makes the environments and calls it. Each peer runs
in one process of its own interpreter, multiace beside it: same weights, same inputs, results
compared before anything is timed, then timed in turns. The first run compiles the peers' models,
which are kept for the next in `--cache`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.cpu.measure import LOAD_LIMIT, OTHERS_LIMIT, commit
from benchmarks.cpu.options import add_options, options_of, parser, words
from benchmarks.cpu.report import summarise, write_tables

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def run_peer(peer: str, interpreter: str, arguments: list[str], cache: Path) -> dict[str, Any]:
    """Run the cases of one peer in its interpreter.

    Raises:
        subprocess.CalledProcessError: it failed; what it said is on the standard error.
    """
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",  # until torch.set_num_threads says otherwise
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }
    with tempfile.TemporaryDirectory(prefix="multiace-") as folder:
        out = Path(folder) / "result.json"
        command = [interpreter, "-m", "benchmarks.cpu.contest", peer, str(out), *arguments]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        return json.loads(out.read_text(encoding="utf-8"))


def run_operations(interpreter: str, tiny: bool) -> dict[str, Any]:
    """Time our operations by themselves."""
    command = [interpreter, "-m", "benchmarks.cpu.operations", *(["--tiny"] if tiny else [])]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def main() -> None:
    """Run the peers one after the other and merge what they found."""
    arguments_of = parser(__doc__)
    arguments_of.add_argument(
        "--python",
        action="append",
        type=_assignment,
        required=True,
        metavar="PEER=INTERPRETER",
        help="mace or nequip, and the Python it is installed in together with multiace",
    )
    arguments_of.add_argument("--out", type=Path, help="JSON; default in benchmarks/results")
    add_options(arguments_of)
    arguments = arguments_of.parse_args()
    options = options_of(arguments)
    interpreters = dict(arguments.python)
    start = time.monotonic()
    content: dict[str, Any] = {
        "command": f"python -m benchmarks.cpu.run {' '.join(sys.argv[1:])}",
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **commit(),
        "limits": {"load_average": LOAD_LIMIT, "processors_used_by_others": OTHERS_LIMIT},
        "peers": {},
    }
    failed: list[str] = []
    content["operations"] = run_operations(next(iter(interpreters.values())), options.tiny)
    for peer, interpreter in interpreters.items():
        passed = words(options, full=arguments.full)
        try:
            content["peers"][peer] = run_peer(peer, interpreter, passed, options.cache)
        except subprocess.CalledProcessError as error:
            failed.append(f"{peer}: {error}")
    content["seconds"] = round(time.monotonic() - start)
    if not content["peers"]:
        sys.exit("\n".join(["Nothing was timed:", *failed]))
    content = summarise(content) | {"failed": failed} | content
    out = arguments.out or RESULTS / f"cpu_{'full' if arguments.full else 'headline'}.json"
    out.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(write_tables(content))
    if failed:
        sys.exit("\n".join(["Not everything is there:", *failed]))


def _assignment(text: str) -> tuple[str, str]:
    peer, _, interpreter = text.partition("=")
    if peer not in ("mace", "nequip") or not interpreter:
        raise argparse.ArgumentTypeError(f"{text!r} is not mace=PATH or nequip=PATH.")
    return peer, str(Path(interpreter).absolute())


if __name__ == "__main__":
    main()
