"""How a study stands: which runs are done, how far the others are, when it will be finished."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiace.study.ledger import Ledger, State, read_json
from multiace.study.prepare import read_plan


@dataclass(frozen=True)
class RunStatus:
    """How one run stands.

    Args:
        name: of the run.
        cell: its levels in words.
        seed: its seed.
        state: waiting, running, done, failed or pruned.
        fraction: part of its epochs that is trained.
        seconds: training time so far.
        error: last validation error (RMSE of the forces in meV/Å, or of the energy per atom in
            meV where there are no forces); None before the first.
        who: process that works on it.
        flops: operations of the whole run, for the time that is left.
        failure: last line of what went wrong.
    """

    name: str
    cell: str
    seed: int
    state: State
    fraction: float
    seconds: float
    error: float | None
    who: str
    flops: float
    failure: str


@dataclass(frozen=True)
class Status:
    """How a study stands.

    Args:
        title: of the study.
        runs: in the order of the plan.
    """

    title: str
    runs: tuple[RunStatus, ...]

    def count(self, state: State) -> int:
        """Return the number of runs in a state."""
        return sum(run.state == state for run in self.runs)

    @property
    def is_done(self) -> bool:
        """Whether nothing waits or runs."""
        return all(run.state in ("done", "failed", "pruned") for run in self.runs)

    @property
    def seconds_left(self) -> float | None:
        """Time until the end with as many runs at a time as now; None if nothing was timed.

        What is left of each run takes time in proportion to its operations, at the mean rate of
        those that were timed.
        """
        timed = [run for run in self.runs if run.fraction > 0 and run.seconds > 0]
        left = sum(
            run.flops * (1.0 - run.fraction)
            for run in self.runs
            if run.state in ("waiting", "running")
        )
        at_a_time = self.count("running")
        if left == 0.0:
            return 0.0
        if not timed or at_a_time == 0:
            return None
        rate = sum(run.flops * run.fraction for run in timed) / sum(run.seconds for run in timed)
        return left / rate / at_a_time


def read_status(out: str | Path) -> Status:
    """Return how the study in a directory stands.

    Raises:
        StudyError: there is none.
    """
    ledger = Ledger(out)
    plan = read_plan(ledger.path)
    evaluations = [content["id"] for content in plan["evaluations"].values()]
    rows = [_run_status(ledger, row, evaluations) for row in plan["runs"]]
    return Status(plan["study"]["title"], tuple(rows))


def _run_status(ledger: Ledger, row: dict[str, Any], evaluations: list[str]) -> RunStatus:
    name = row["name"]
    state = ledger.state(name, evaluations)
    records = read_metrics(ledger.run_path(name))
    last = records[-1] if records else {}
    trained = ledger.result(name) is not None
    claim = ledger.last_claim(name) if state == "running" else None
    owner = (read_json(claim.path) or {}) if claim is not None else {}
    failure = (ledger.failure(name) or "") if state == "failed" else ""
    return RunStatus(
        name=name,
        cell=row["cell"],
        seed=row["seed"],
        state=state,
        fraction=1.0 if trained else min(1.0, (last.get("epoch", -1) + 1) / row["epochs"]),
        seconds=last.get("seconds", 0.0),
        error=next((e for r in reversed(records) if (e := validation_error(r)) is not None), None),
        who=f"{owner['host']}:{owner['pid']}" if owner else "",
        flops=row["flops"],
        failure=failure.strip().splitlines()[-1] if failure else "",
    )


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return the records of a run so far; a line that is being written is left out."""
    path = run / "metrics.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def validation_error(record: dict[str, Any]) -> float | None:
    """Return the validation error of a record: of forces, or of energies where there are none.

    Example:
        >>> validation_error({"forces_rmse (meV/Å)": 31.0, "energy_per_atom_rmse (meV/atom)": 2.0})
        31.0
    """
    for key in ("forces_rmse (meV/Å)", "energy_per_atom_rmse (meV/atom)"):
        if record.get(key) is not None:
            return record[key]
    return None
