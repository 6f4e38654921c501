"""Let Optuna choose cells by the errors of those that were trained."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiace.study.config import Search as SearchPlan
from multiace.study.errors import StudyError
from multiace.study.ledger import Ledger, read_json, write_json
from multiace.study.local import Executor
from multiace.study.prepare import read_plan, write_plan
from multiace.study.runner import SECONDS_BETWEEN_LOOKS, Queue, Show
from multiace.study.status import read_metrics, validation_error
from multiace.study.study import Cell, Run, Study
from multiace.training import ConfigError, make_config


@dataclass
class _Trial:
    """A cell that was asked for.

    Args:
        asked: the trial of Optuna; None for one of an earlier process that is not done yet.
        cell: its levels.
        runs: its runs, one a seed.
        reported: epochs whose validation error Optuna knows.
    """

    asked: Any
    cell: Cell
    runs: list[Run]
    reported: int = 0


class Search:
    """A search that goes on where it was.

    `search.json` lists the levels of every trial that was begun, in order; what they came to is in
    the ledger. A search with one worker takes the same trials whenever it is run; with several,
    the order in which they end decides.

    Args:
        study: with `plan.kind: search`.
        out: its directory.
        executor: does runs.
        retry: do failed runs again.
        timed: seconds of an epoch, for `budget: minutes`.
        show: called every few seconds.

    Raises:
        StudyError: Optuna is not installed.
    """

    def __init__(
        self,
        study: Study,
        out: Path,
        executor: Executor,
        *,
        retry: bool,
        timed: Callable[[Cell], float] | None,
        show: Show,
    ) -> None:
        try:
            optuna: Any = importlib.import_module("optuna")
        except ImportError:
            raise StudyError(
                "plan: search needs Optuna. Install it with: pip install 'multiace[study]'"
            ) from None
        assert isinstance(study.config.plan, SearchPlan)
        self._optuna = optuna
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._plan, self._study, self._out, self._timed = study.config.plan, study, out, timed
        self._executor, self._retry, self._show = executor, retry, show
        self._ledger = Ledger(out)
        self._n_objectives = 1 if self._plan.objectives == "error" else 2
        self._space = {
            factor.name: optuna.distributions.CategoricalDistribution(factor.levels)
            for factor in study.factors
        }
        sampler = (
            optuna.samplers.TPESampler(seed=self._plan.seed)
            if self._plan.sampler == "tpe"
            else optuna.samplers.NSGAIISampler(seed=self._plan.seed)
        )
        self._optimiser = optuna.create_study(
            directions=["minimize"] * self._n_objectives, sampler=sampler
        )
        self._cells: list[Cell] = []

    def run(self) -> None:
        """Take all trials that are missing."""
        begun = (read_json(self._out / "search.json") or {"trials": []})["trials"]
        cells = [self._study.cell(tuple(levels)) for levels in begun]
        queue = Queue(
            self._out, self._write(cells), self._executor, retry=self._retry, show=self._show
        )
        open_trials = []
        for index, cell in enumerate(cells):
            trial = _Trial(None, cell, self._runs_of(index))
            if not self._told(trial):
                open_trials.append(trial)
        while open_trials or len(self._cells) < self._plan.trials:
            queue.step()
            if self._plan.pruning:
                self._prune(open_trials, queue)
            open_trials = [trial for trial in open_trials if not self._told(trial)]
            room = self._executor.n_free > 0 and not queue.waiting
            if room and len(self._cells) < self._plan.trials:
                trial = self._ask()
                if trial is not None:
                    open_trials.append(trial)
                    queue.add(trial.runs)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        queue.drain()

    def _write(self, cells: list[Cell]) -> list[Run]:
        """Write down the trials that were begun."""
        self._out.mkdir(parents=True, exist_ok=True)
        write_json(self._out / "search.json", {"trials": [list(c.levels) for c in cells]})
        self._cells = cells
        self._runs = write_plan(self._study, self._out, cells, self._timed)
        return self._runs

    def _runs_of(self, index: int) -> list[Run]:
        return self._runs[index :: len(self._cells)]

    def _ask(self) -> _Trial | None:
        """Begin a trial; None where its levels have no meaning together."""
        asked = self._optimiser.ask(self._space)
        levels = tuple(f.levels.index(asked.params[f.name]) for f in self._study.factors)
        cell = self._study.cell(levels)
        try:
            content = self._study.training_fields(cell)
            make_config({**content, "epochs": self._study.config.budget.epochs or 1, "out": "-"})
        except ConfigError:
            self._optimiser.tell(asked, state=self._optuna.trial.TrialState.FAIL)
            if len(self._optimiser.trials) > 10 * self._plan.trials:
                raise StudyError(
                    f"Only {len(self._cells)} of {len(self._optimiser.trials)} combinations of "
                    "levels can be trained. Change the factors so that most can."
                ) from None
            return None
        self._write([*self._cells, cell])
        return _Trial(asked, cell, self._runs_of(len(self._cells) - 1))

    def _told(self, trial: _Trial) -> bool:
        """Tell Optuna of a trial if it has come to an end; return whether it has."""
        states = self._optuna.trial.TrialState
        evaluations = read_plan(self._out)["evaluations"]
        ids = [content["id"] for content in evaluations.values()]
        found = [self._ledger.state(run.name, ids) for run in trial.runs]
        if any(state in ("waiting", "running") for state in found):
            return False
        if all(state == "done" for state in found):
            values = self._values(trial, evaluations)
            state = states.COMPLETE if all(map(math.isfinite, values)) else states.FAIL
        else:
            values, state = None, states.PRUNED if "pruned" in found else states.FAIL
        if state != states.COMPLETE:
            values = None
        if trial.asked is not None:
            self._optimiser.tell(trial.asked, values, state=state)
        else:
            levels = zip(self._study.factors, trial.cell.levels, strict=True)
            self._optimiser.add_trial(
                self._optuna.trial.create_trial(
                    params={factor.name: factor.levels[level] for factor, level in levels},
                    distributions=self._space,
                    values=values,
                    state=state,
                )
            )
        return True

    def _values(self, trial: _Trial, evaluations: dict[str, Any]) -> list[float]:
        """Return the mean of log errors in domain over seeds, and the operations of an atom."""
        quantity = self._study.config.evaluations.compare
        logs = []
        for run in trial.runs:
            for name in self._study.config.evaluations.in_domain:
                found = self._ledger.evaluation(run.name, evaluations[name]["id"]) or {}
                error = found.get("errors", {}).get(quantity, {}).get("rmse", math.nan)
                logs.append(math.log(error) if error > 0 else math.nan)
        rows = {row["name"]: row for row in read_plan(self._out)["runs"]}
        values = [sum(logs) / len(logs), rows[trial.runs[0].name]["flops_per_atom"]]
        return values[: self._n_objectives]

    def _prune(self, open_trials: list[_Trial], queue: Queue) -> None:
        """End trials whose validation error is above the median of others at the same epoch."""
        pruner = self._optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2)
        for trial in open_trials:
            curves = [
                [
                    e
                    for r in read_metrics(self._ledger.run_path(run.name))
                    if (e := validation_error(r)) is not None
                ]
                for run in trial.runs
            ]
            epochs = min(map(len, curves))
            if trial.asked is None or epochs <= trial.reported:
                continue
            for epoch in range(trial.reported, epochs):
                mean = sum(math.log(curve[epoch]) for curve in curves) / len(curves)
                trial.asked.report(mean, epoch)
            trial.reported = epochs
            frozen = self._optimiser.trials[trial.asked.number]
            if pruner.prune(self._optimiser, frozen):
                for run in trial.runs:
                    self._ledger.prune(run.name)
                    queue.drop(run.name)
