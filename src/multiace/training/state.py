"""Everything that changes while a run trains, as tensors and plain data that can be saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from multiace.checkpoint import set_values
from multiace.potential import Potential
from multiace.training.config import TrainingConfig
from multiace.training.loss import Terms, no_terms
from multiace.training.optimiser import (
    MovingAverage,
    make_optimiser,
    optimiser_state,
    restore_optimiser,
)
from multiace.training.schedule import Rate

POSITION = (
    "epoch",
    "batch",
    "step",
    "learning_rate",
    "records",
    "seconds",
    "strikes",
    "waited",
    "validated_step",
)


class TrainingState:
    """Weights, optimiser, average, schedule, position and best model of a run.

    Attributes:
        epoch: index of the epoch that is running.
        batch: batches of this epoch that are done; the order of an epoch follows from its index.
        step: batches done in all epochs.
        learning_rate: of the last step.
        records: metrics written so far, of epochs and of an unfinished end.
        seconds: training time so far.
        strikes: steps and validations that were not finite.
        validated_step: step of the last validation; None before the first.
        waited: validations in a row without a new best.
        best_loss: lowest validation loss of this stage of the loss; None before the first.
        best_weights: the weights that reached it.
        terms: sum of the loss terms over this epoch's batches.
    """

    def __init__(self, potential: Potential, config: TrainingConfig) -> None:
        self.potential = potential
        self.parameters = dict(potential.named_parameters())
        self.optimiser = make_optimiser(config.optimiser, self.parameters)
        self.average = None if config.ema is None else MovingAverage(self.parameters, config.ema)
        self.rate = Rate(config.schedule)
        self.epoch = self.batch = self.step = self.records = self.strikes = self.waited = 0
        self.learning_rate = config.optimiser.rate
        self.seconds = 0.0
        self.validated_step: int | None = None
        self.best_loss: float | None = None
        self.best_epoch: int | None = None
        self.best_weights: dict[str, Tensor] = {}
        self.terms = self.no_terms()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(iter(self.parameters.values())).device

    def no_terms(self) -> Terms:
        """Return empty loss terms on the model's device."""
        return no_terms(self.device)

    def begin_stage(self) -> None:
        """Start the search for the best model anew: losses of two stages do not compare."""
        self.best_loss = None
        self.waited = 0
        self.rate.reset()

    def consider(self, loss: float, epoch: int) -> bool:
        """Keep a copy of the weights in the model if their loss is the lowest; NaN never is."""
        if not math.isfinite(loss) or not (self.best_loss is None or loss < self.best_loss):
            return False
        self.best_loss, self.best_epoch = loss, epoch
        self.best_weights = {n: p.detach().cpu().clone() for n, p in self.parameters.items()}
        return True

    def load_best(self) -> None:
        """Give the model its best weights, which there are after a validation that was finite."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.best_weights[name])

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors of the state under names of the form `kind/parameter`."""
        tensors: dict[str, Tensor] = {f"weights/{n}": p for n, p in self.parameters.items()}
        tensors |= optimiser_state(self.optimiser, self.parameters)
        if self.average is not None:
            tensors |= {f"average/{name}": value for name, value in self.average.shadow.items()}
        tensors |= {f"best/{name}": value for name, value in self.best_weights.items()}
        tensors["terms"] = torch.stack([self.terms.sums, self.terms.counts])
        return tensors

    def progress(self) -> dict[str, Any]:
        """Return the rest of the state as plain data."""
        return {
            **{name: getattr(self, name) for name in POSITION},
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "rate": self.rate.state(),
            "average_updates": 0 if self.average is None else self.average.n_updates,
        }

    def restore(
        self, path: object, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]
    ) -> None:
        """Continue from what `tensors` and `progress` returned.

        Args:
            path: the file they come from, for errors.
            tensors: of a model of the same design and a run with the same config.
            progress: plain data.

        Raises:
            ModelFileError: weights or averages that do not fit the model.
        """
        set_values(str(path), self.parameters, _of_kind(tensors, "weights"))
        restore_optimiser(self.optimiser, self.parameters, tensors)
        if self.average is not None:
            set_values(str(path), self.average.shadow, _of_kind(tensors, "average"), "average")
            self.average.n_updates = progress["average_updates"]
        self.best_weights = _of_kind(tensors, "best")
        sums, counts = tensors["terms"].to(self.device)
        self.terms = Terms(sums, counts)
        for name in POSITION:
            setattr(self, name, progress[name])
        self.best_loss, self.best_epoch = progress["best_loss"], progress["best_epoch"]
        self.rate.restore(progress["rate"])


def _of_kind(tensors: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    prefix = f"{kind}/"
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
