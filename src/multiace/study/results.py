"""What the runs of a study came to, gathered from its ledger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from multiace.study.config import StudyConfig
from multiace.study.factors import Factor
from multiace.study.ledger import Ledger
from multiace.study.model_matrix import Identification, identify
from multiace.study.prepare import read_plan
from multiace.study.statistics import Fit, correct, fit_effects
from multiace.study.status import Status, read_metrics, read_status, validation_error

LAST_PART = 0.2
"""Last part of training in which the validation error is looked at."""

STILL_FALLING = 0.05
"""Relative decrease of the validation error there, from which on a run was not finished."""

NO_SCATTER = 1e-9
"""Residual of logarithms that is none: rounding."""


@dataclass(frozen=True)
class Outcome:
    """What one run came to.

    Args:
        name: of the run.
        cell: its levels in words.
        levels: index of the level of each factor.
        seed: of the run.
        errors: (evaluation, quantity) -> RMSE in meV, meV/atom or meV/Å.
        failed: evaluation -> why it has no errors.
        energies: scan -> predicted energies, eV.
        seconds: training time.
        epochs: that were trained.
        microseconds_per_atom: measured time of energies and forces; None if it was not.
        parameters: of the model.
        flops_per_atom: counted operations of energies and forces.
        curve: (epoch, seconds, validation error) of each validation.
        probes: probe -> its numbers: name -> value, unit and meaning.
    """

    name: str
    cell: str
    levels: tuple[int, ...]
    seed: int
    errors: dict[tuple[str, str], float]
    failed: dict[str, str]
    energies: dict[str, list[float]]
    seconds: float
    epochs: int
    microseconds_per_atom: float | None
    parameters: int
    flops_per_atom: float
    curve: tuple[tuple[float, float, float], ...]
    probes: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    @property
    def is_falling(self) -> bool:
        """Whether the validation error was still falling, or nothing tells that it was not."""
        return still_falling([(epoch, error) for epoch, _, error in self.curve])


_DOMAINS = {"in_domain": "in domain", "out_of_domain": "out of domain"}


@dataclass(frozen=True)
class Response:
    """A number of each run whose logarithm the effects are of.

    Args:
        what: what it is, the same in every domain.
        domain: in_domain, out_of_domain, scan or probe.
        evaluations: whose errors are averaged, as logarithms; the name of a probe.
        quantity: whose error; the name of a number.
        unit: of the error or number.
    """

    what: str
    domain: str
    evaluations: tuple[str, ...]
    quantity: str
    unit: str

    @property
    def name(self) -> str:
        """What it is, and in which domain."""
        return " ".join(filter(None, (self.what, _DOMAINS.get(self.domain))))

    def log_value(self, outcome: Outcome) -> float:
        """Return the mean of the logarithms; NaN where a number is missing or not positive."""
        values = [self._value(outcome, name) for name in self.evaluations]
        if not all(value > 0 for value in values):
            return math.nan
        return sum(map(math.log, values)) / len(values)

    def _value(self, outcome: Outcome, name: str) -> float:
        if self.domain != "probe":
            return outcome.errors.get((name, self.quantity), math.nan)
        value = outcome.probes.get(name, {}).get(self.quantity, {}).get("value")
        return math.nan if value is None else float(value)


@dataclass(frozen=True)
class Results:
    """What a study came to.

    Args:
        path: its directory.
        config: what its file says.
        factors: its choices.
        identification: what its cells tell apart; None for a search.
        notes: on the plan.
        evaluations: content of each.
        status: of all runs.
        outcomes: of the runs that are done.
        responses: in domain, out of domain, along scans and of probes, as far as there are any.
        fits: the statistics of each response, corrected together; none for a search.
        not_compared: responses without effects, and why.
    """

    path: Path
    config: StudyConfig
    factors: tuple[Factor, ...]
    identification: Identification | None
    notes: tuple[str, ...]
    evaluations: dict[str, dict[str, Any]]
    status: Status
    outcomes: tuple[Outcome, ...]
    responses: tuple[Response, ...]
    fits: tuple[Fit, ...]
    not_compared: tuple[tuple[Response, str], ...] = ()

    @property
    def cells(self) -> list[str]:
        """Names of the cells that have a run that is done."""
        return list(dict.fromkeys(outcome.cell for outcome in self.outcomes))

    def of_cell(self, cell: str) -> list[Outcome]:
        """Return the runs of a cell."""
        return [outcome for outcome in self.outcomes if outcome.cell == cell]

    @property
    def falling_cells(self) -> list[str]:
        """Names of the cells with a run whose validation error was still falling."""
        return [cell for cell in self.cells if any(o.is_falling for o in self.of_cell(cell))]

    @property
    def seeds(self) -> list[int]:
        """Seeds of the runs that are done."""
        return sorted({outcome.seed for outcome in self.outcomes})


def still_falling(curve: Sequence[tuple[float, float]]) -> bool:
    """Whether the lowest error of a run fell by more than 5 % in its last fifth.

    Args:
        curve: (epochs done, validation error); too few finite ones to tell count as falling.

    Example:
        >>> still_falling([(float(n), 1.0 + 1.0 / n) for n in range(1, 101)])
        False
        >>> still_falling([(float(n), 1.0 / n) for n in range(1, 101)])
        True
    """
    known = [(epoch, error) for epoch, error in curve if math.isfinite(error)]
    if not known:
        return True
    end = max(epoch for epoch, _ in curve)
    before = [error for epoch, error in known if epoch <= (1.0 - LAST_PART) * end]
    if not before:
        return True
    return min(error for _, error in known) < (1.0 - STILL_FALLING) * min(before)


def read_results(out: str | Path) -> Results:
    """Gather what the study in a directory came to so far, and fit its effects.

    Raises:
        StudyError: there is none, or the statistics cannot be computed.
    """
    ledger = Ledger(out)
    plan = read_plan(ledger.path)
    config = StudyConfig.model_validate(plan["study"])
    factors = tuple(
        Factor(f["name"], tuple(f["levels"]), tuple(f["changes"])) for f in plan["factors"]
    )
    status = read_status(out)
    done = {run.name for run in status.runs if run.state == "done"}
    outcomes = tuple(
        _outcome(ledger, row, plan["evaluations"]) for row in plan["runs"] if row["name"] in done
    )
    responses = _responses(config, plan["evaluations"], outcomes)
    identification, fits = None, ()
    not_compared: tuple[tuple[Response, str], ...] = ()
    if config.plan.kind != "search":
        sizes = tuple(len(factor.levels) for factor in factors)
        cells = list(dict.fromkeys(tuple(row["levels"]) for row in plan["runs"]))
        identification = identify(cells, sizes)
        found: list[tuple[Response, Fit]] = []
        for response in (*responses, *_probe_responses(config, outcomes)):
            obstacle = _missing(response, outcomes)
            if obstacle is None:
                fit = _fit(response, outcomes, sizes, identification)
                obstacle = _no_scatter(fit) if response.domain == "probe" else None
                found += [(response, fit)] if obstacle is None else []
            if obstacle is not None:
                not_compared += ((response, obstacle),)
        responses = tuple(response for response, _ in found)
        fits = tuple(correct([fit for _, fit in found]))
    return Results(
        path=ledger.path,
        config=config,
        factors=factors,
        identification=identification,
        notes=tuple(plan["notes"]),
        evaluations=plan["evaluations"],
        status=status,
        outcomes=outcomes,
        responses=responses,
        fits=fits,
        not_compared=not_compared,
    )


def _fit(
    response: Response,
    outcomes: Sequence[Outcome],
    sizes: tuple[int, ...],
    identification: Identification,
) -> Fit:
    return fit_effects(
        [outcome.levels for outcome in outcomes],
        [outcome.seed for outcome in outcomes],
        [response.log_value(outcome) for outcome in outcomes],
        sizes,
        identification.identified,
    )


def _responses(
    config: StudyConfig, evaluations: dict[str, dict[str, Any]], outcomes: Sequence[Outcome]
) -> tuple[Response, ...]:
    """Return the responses for which at least two runs have a number."""
    compare = config.evaluations.compare
    units = {"energy": "meV", "energy_per_atom": "meV/atom", "forces": "meV/Å"}
    words = {"energy": "energy", "energy_per_atom": "energy per atom", "forces": "force"}
    found = []
    for domain in _DOMAINS:
        names = tuple(n for n, content in evaluations.items() if content["domain"] == domain)
        found.append(Response(f"{words[compare]} error", domain, names, compare, units[compare]))
    scans = tuple(n for n, content in evaluations.items() if content["domain"] == "scan")
    found.append(Response("energy error along scans", "scan", scans, "energy", "meV"))
    return tuple(
        response
        for response in found
        if response.evaluations
        and sum(np.isfinite(response.log_value(outcome)) for outcome in outcomes) > 1
    )


def _probe_responses(config: StudyConfig, outcomes: Sequence[Outcome]) -> tuple[Response, ...]:
    """Return the numbers of probes that effects are asked of."""
    found = []
    for name, probe in config.evaluations.probes.items():
        if probe.compare is not None:
            numbers = [o.probes.get(name, {}).get(probe.compare) for o in outcomes]
            unit = next((number["unit"] for number in numbers if number is not None), "")
            found.append(
                Response(f"{probe.compare} of {name}", "probe", (name,), probe.compare, unit)
            )
    return tuple(found)


def _missing(response: Response, outcomes: Sequence[Outcome]) -> str | None:
    """Return why there are no logarithms to fit, if so.

    Runs without a positive number are not left out: they are those that a choice made bad.
    """
    missing = [o for o in outcomes if not np.isfinite(response.log_value(o))]
    if len(outcomes) < 2:
        return "it needs two runs that are done"
    if not missing:
        return None
    first = missing[0]
    why = next((f": {first.failed[n]}" for n in response.evaluations if n in first.failed), "")
    return (
        f"it is missing or not positive in {len(missing)} of {len(outcomes)} runs "
        f"({first.cell}, seed {first.seed}{why})"
    )


def _no_scatter(fit: Fit) -> str | None:
    """Return why an effect would have no interval, if nothing is left to scatter."""
    if fit.residual is not None and fit.residual < NO_SCATTER:
        return "the model leaves no residual, so that nothing says how sure an effect would be"
    return None


def _outcome(
    ledger: Ledger, row: dict[str, Any], evaluations: dict[str, dict[str, Any]]
) -> Outcome:
    name = row["name"]
    result = ledger.result(name) or {}
    errors: dict[tuple[str, str], float] = {}
    failed: dict[str, str] = {}
    energies: dict[str, list[float]] = {}
    probes: dict[str, dict[str, dict[str, Any]]] = {}
    times = []
    for evaluation, content in evaluations.items():
        found = ledger.evaluation(name, content["id"]) or {}
        if "failed" in found:
            failed[evaluation] = found["failed"]
        for quantity, deviation in found.get("errors", {}).items():
            errors[evaluation, quantity] = deviation["rmse"]
        if "numbers" in found:
            probes[evaluation] = found["numbers"]
        if "energies" in found:
            energies[evaluation] = found["energies"]
        if "microseconds_per_atom" in found:
            times.append(found["microseconds_per_atom"])
    records = read_metrics(ledger.run_path(name))
    curve = tuple(
        (record["epoch"] + 1.0, record["seconds"], error)
        for record in records
        if (error := validation_error(record)) is not None
    )
    return Outcome(
        name=name,
        cell=row["cell"],
        levels=tuple(row["levels"]),
        seed=row["seed"],
        errors=errors,
        failed=failed,
        energies=energies,
        seconds=result["seconds"],
        epochs=result["epochs"],
        microseconds_per_atom=min(times) if times else None,
        parameters=row["parameters"],
        flops_per_atom=row["flops_per_atom"],
        curve=curve,
        probes=probes,
    )
