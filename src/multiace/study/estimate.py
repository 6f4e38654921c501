"""What a study will cost, before it runs: cells, time and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multiace.study.evaluate import check_evaluations, evaluations_of
from multiace.study.measure import Measurement, measure
from multiace.study.prepare import CellCost, Costs, epochs_of
from multiace.study.study import Cell, Study


@dataclass(frozen=True)
class CellEstimate:
    """What one run of a cell is expected to take.

    Args:
        cell: the combination of levels.
        cost: counted.
        epochs: passes over the training set.
        seconds: training and evaluation of one run.
        timed: whether this cell was timed itself.
    """

    cell: Cell
    cost: CellCost
    epochs: int
    seconds: float
    timed: bool


@dataclass(frozen=True)
class Estimate:
    """What a study is expected to take on this machine.

    Args:
        cells: one estimate each.
        n_seeds: runs of each cell.
        gigabytes: memory of the largest run.
    """

    cells: tuple[CellEstimate, ...]
    n_seeds: int
    gigabytes: float

    @property
    def seconds(self) -> float:
        """Time of all runs one after another."""
        return self.n_seeds * sum(cell.seconds for cell in self.cells)


def estimate(study: Study, timer: Callable[[Cell], Measurement] | None = None) -> Estimate:
    """Time the cheapest and the dearest cell, and estimate the others between them.

    The time of an epoch is a + b x operations, through both.

    Args:
        study: that was read; of a search, the cell of first levels stands for all trials.
        timer: times a cell; default: `measure`.

    Raises:
        StudyError: a training could not be timed.
        DataError: data that cannot be trained on.
    """
    evaluations = evaluations_of(study)
    check_evaluations(evaluations, study.places)
    timer = timer or (lambda cell: measure_cell(study, cell, list(evaluations.values())))
    costs = Costs(study)
    plan = study.config.plan
    cells = study.cells or (study.cell((0,) * len(study.factors)),) * getattr(plan, "trials", 1)
    ordered = sorted(set(cells), key=lambda cell: costs.of(cell).flops_per_epoch)
    measured = {cell: timer(cell) for cell in dict.fromkeys((ordered[0], ordered[-1]))}
    rate = _line([(costs.of(c).flops_per_epoch, m.seconds_per_epoch) for c, m in measured.items()])
    evaluation = _line([(costs.of(c).flops_per_epoch, m.evaluation) for c, m in measured.items()])
    found = []
    for cell in cells:
        cost = costs.of(cell)
        of_epoch = (
            measured[cell].seconds_per_epoch if cell in measured else rate(cost.flops_per_epoch)
        )
        epochs = epochs_of(study, cell, costs, lambda _, seconds=of_epoch: seconds)
        seconds = epochs * of_epoch + evaluation(cost.flops_per_epoch)
        found.append(CellEstimate(cell, cost, epochs, seconds, cell in measured))
    gigabytes = max(measurement.gigabytes for measurement in measured.values())
    return Estimate(tuple(found), len(study.config.seeds), gigabytes)


def measure_cell(
    study: Study, cell: Cell, evaluations: Sequence[Mapping[str, Any]] = ()
) -> Measurement:
    """Time the beginning of the training of a cell, and evaluations, in a process of its own."""
    return measure(study.training_config(cell, epochs=10**6), study.config.threads, evaluations)


def _line(points: list[tuple[float, float]]) -> Callable[[float], float]:
    """Return the line through two points, or through one and the origin; it never falls.

    Example:
        >>> _line([(1.0, 2.0), (3.0, 4.0)])(2.0), _line([(2.0, 4.0)])(1.0)
        (3.0, 2.0)
    """
    (x0, y0), (x1, y1) = points[0], points[-1]
    if x1 == x0:
        return lambda x: y0 * x / x0
    slope = max((y1 - y0) / (x1 - x0), 0.0)
    return lambda x: max(y0 + slope * (x - x0), 0.0)
