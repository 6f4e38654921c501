"""Write down what a study is going to run, before anything runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from multiace.design.cost import cost
from multiace.study.errors import StudyError
from multiace.study.evaluate import check_evaluations, evaluations_of
from multiace.study.ledger import Ledger, read_json, write_json
from multiace.study.study import Cell, Run, Study, run_name
from multiace.training import TrainingConfig, make_config
from multiace.training.prepare import StructureSets, read_sets, statistics_of

PLAN_FORMAT = 1


@dataclass(frozen=True)
class CellCost:
    """What a cell costs, counted and not timed.

    Args:
        n_structures: training structures.
        n_atoms: their atoms.
        neighbours: mean neighbours of an atom.
        parameters: weights that reach a readout.
        flops: operations of the energy and forces of an atom.
    """

    n_structures: int
    n_atoms: int
    neighbours: float
    parameters: int
    flops: float

    @property
    def flops_per_epoch(self) -> float:
        """Operations of energies and forces of all training structures."""
        return self.flops * self.n_atoms


class Costs:
    """Costs of the cells of a study; data are read once for each way to read them."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._sets: dict[str, StructureSets] = {}
        self._costs: dict[str, CellCost] = {}

    def of(self, cell: Cell) -> CellCost:
        """Return what a cell costs.

        Raises:
            DataError: data that cannot be trained on.
        """
        config = self._study.training_config(cell, epochs=10**9)
        key = f"{config.design.content_hash} {config.data} {config.loss}"
        if key not in self._costs:
            self._costs[key] = self._count(config)
        return self._costs[key]

    def _count(self, config: TrainingConfig) -> CellCost:
        from multiace.design.parameters import count_parameters

        sets = self._read(config)
        statistics = statistics_of(sets, config)
        neighbours = statistics.mean_neighbours
        n_elements = len(sets.elements)
        return CellCost(
            n_structures=len(sets.training),
            n_atoms=sum(structure.n_atoms for structure in sets.training),
            neighbours=neighbours,
            parameters=sum(count_parameters(config.design, n_elements, prune=True).values()),
            flops=cost(config.design, n_elements, neighbours).flops_forces,
        )

    def _read(self, config: TrainingConfig) -> StructureSets:
        key = f"{config.data} {config.loss} {config.design.energy.reference}"
        if key not in self._sets:
            self._sets[key] = read_sets(config)
        return self._sets[key]


def epochs_of(
    study: Study, cell: Cell, costs: Costs, timed: Callable[[Cell], float] | None = None
) -> int:
    """Return the passes over the training set that the budget pays for.

    Args:
        study: with the budget.
        cell: the combination of levels.
        costs: of the study.
        timed: returns the seconds of an epoch of a cell on this machine, for `budget: minutes`.
    """
    budget = study.config.budget
    if budget.epochs is not None:
        return budget.epochs
    if budget.flops is not None:
        return max(1, round(budget.flops / costs.of(cell).flops_per_epoch))
    assert budget.minutes is not None
    assert timed is not None
    return max(1, round(60.0 * budget.minutes / timed(cell)))


def write_plan(
    study: Study,
    out: Path,
    cells: Sequence[Cell],
    timed: Callable[[Cell], float] | None = None,
) -> list[Run]:
    """Write the plan of a study and the training config of each run into its directory.

    What was run before stays: a run has the same name as long as it is the same training. Epochs
    that were timed once for `budget: minutes` are kept.

    Args:
        study: that was read.
        out: its directory.
        cells: to run.
        timed: as for `epochs_of`.

    Returns:
        The runs, all cells with the first seed before those with the next.

    Raises:
        StudyError: the budget needs timing that is not there.
    """
    ledger, costs = Ledger(out), Costs(study)
    evaluations = evaluations_of(study)
    if (read_json(ledger.plan_path) or {}).get("evaluations") != evaluations:
        check_evaluations(evaluations, study.places)
    (out / "runs").mkdir(parents=True, exist_ok=True)
    if study.places.name:
        shutil.copyfile(study.places.name, out / "study.yaml")
    epochs = [_kept_epochs(study, ledger, cell, costs, timed) for cell in cells]
    runs, rows = [], []
    for seed in study.config.seeds:
        for cell, n in zip(cells, epochs, strict=True):
            config = study.training_config(cell, epochs=n, seed=seed).resolved()
            run = Run(run_name(config, study.config.threads), cell, seed, n)
            counted = costs.of(cell)
            path = ledger.run_path(run.name)
            if not (path / "training.json").exists():
                write_json(path / "training.json", {**config.to_dict(), "out": str(path)})
            runs.append(run)
            rows.append(
                {
                    "name": run.name,
                    "cell": cell.name,
                    "levels": list(cell.levels),
                    "seed": seed,
                    "epochs": n,
                    "flops": counted.flops_per_epoch * n,
                    "flops_per_atom": counted.flops,
                    "parameters": counted.parameters,
                }
            )
    content: dict[str, Any] = {
        "format": PLAN_FORMAT,
        "study": study.config.model_dump(mode="json"),
        "factors": [asdict(factor) for factor in study.factors],
        "notes": list(study.notes),
        "evaluations": evaluations,
        "runs": rows,
    }
    write_json(ledger.plan_path, content)
    return runs


def _kept_epochs(
    study: Study,
    ledger: Ledger,
    cell: Cell,
    costs: Costs,
    timed: Callable[[Cell], float] | None,
) -> int:
    if study.config.budget.minutes is None:
        return epochs_of(study, cell, costs)
    path = ledger.path / "epochs.json"
    kept = read_json(path) or {}
    key = run_name(study.training_config(cell, epochs=1_000_000).resolved(), study.config.threads)
    if key not in kept:
        if timed is None:
            raise StudyError(
                "budget: minutes is timed on the machine that runs the study: run it first."
            )
        kept[key] = epochs_of(study, cell, costs, timed)
        write_json(path, kept)
    return kept[key]


def read_plan(out: Path) -> dict[str, Any]:
    """Return the plan that `write_plan` wrote.

    Raises:
        StudyError: there is none, or one of a later version.
    """
    plan = read_json(Ledger(out).plan_path)
    if plan is None:
        raise StudyError(
            f"{out} holds no study. Name the directory that `multiace study run` wrote to."
        )
    if plan["format"] != PLAN_FORMAT:
        raise StudyError(
            f"{out}/plan.json has format {plan['format']}, this version reads {PLAN_FORMAT}. "
            "Use the version of multiace that wrote it."
        )
    return plan


def training_of(ledger: Ledger, name: str) -> TrainingConfig:
    """Return the training config of a run."""
    content = read_json(ledger.run_path(name) / "training.json")
    assert content is not None
    return make_config({**content, "out": str(ledger.run_path(name))})
