"""Errors of a validation, collected as sums and counts over batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float64
from torch import Tensor

from multiace.analysis.errors import REPORT_UNITS
from multiace.training.examples import Targets
from multiace.units import MEV

if TYPE_CHECKING:
    from multiace.potential import Prediction

QUANTITIES = ("energy", "energy_per_atom", "forces", "stress")
UNITS = {quantity: unit for quantity, (unit, _) in REPORT_UNITS.items()}


@dataclass(frozen=True, eq=False)
class Errors:
    """Sums over errors of energy, energy per atom, force components and stress components.

    Args:
        squares: sums of squared errors, in units of eV and Å.
        magnitudes: sums of absolute errors.
        counts: numbers of errors.
    """

    squares: Float64[Tensor, " quantities"]
    magnitudes: Float64[Tensor, " quantities"]
    counts: Float64[Tensor, " quantities"]

    @classmethod
    def none(cls) -> Errors:
        """Return the errors of no structure at all."""
        zeros = torch.zeros(len(QUANTITIES), dtype=torch.float64)
        return cls(zeros, zeros, zeros)

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.squares + other.squares,
            self.magnitudes + other.magnitudes,
            self.counts + other.counts,
        )

    def rmse(self) -> dict[str, float]:
        """Return the root mean square error of each quantity that has labels, in meV units."""
        return self._mean((self.squares / self.counts).sqrt())

    def mae(self) -> dict[str, float]:
        """Return the mean absolute error of each quantity that has labels, in meV units."""
        return self._mean(self.magnitudes / self.counts)

    def _mean(self, values: Float64[Tensor, " quantities"]) -> dict[str, float]:
        rows = zip(QUANTITIES, values.tolist(), self.counts.tolist(), strict=True)
        return {name: value / MEV for name, value, count in rows if count > 0}


def errors_of(prediction: Prediction, targets: Targets) -> Errors:
    """Collect the errors of a batch, on the CPU."""
    energy = (prediction.energy - targets.energy)[targets.has_energy]
    groups = [energy, energy / targets.n_atoms[targets.has_energy]]
    for values, labels, mask in (
        (prediction.forces, targets.forces, targets.has_forces),
        (prediction.stress, targets.stress, targets.has_stress),
    ):
        groups.append(energy[:0] if values is None else (values.double() - labels)[mask].flatten())
    return Errors(
        torch.stack([(group**2).sum() for group in groups]).cpu(),
        torch.stack([group.abs().sum() for group in groups]).cpu(),
        torch.tensor([group.numel() for group in groups], dtype=torch.float64),
    )


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch (or the last, unfinished one) came to.

    Args:
        epoch: index of the epoch, from 0.
        step: optimiser steps so far.
        seconds: training time so far, validation included.
        rate: learning rate of the last step.
        train_loss: loss over the epoch's batches, each before its step; None without any.
        valid_loss: loss of the validation set; None if it was not validated.
        rmse: validation RMSE by quantity, in meV, meV/atom, meV/Å and meV/Å^3.
        mae: validation MAE by quantity, in the same units.
        best: whether this is the best validation so far.
    """

    epoch: int
    step: int
    seconds: float
    rate: float
    train_loss: float | None
    valid_loss: float | None
    rmse: dict[str, float]
    mae: dict[str, float]
    best: bool

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data, with the unit in each name."""
        content: dict[str, Any] = {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": round(self.seconds, 3),
            "rate": self.rate,
            "train_loss": self.train_loss,
            "valid_loss": self.valid_loss,
            "best": self.best,
        }
        for name, values in (("rmse", self.rmse), ("mae", self.mae)):
            content |= {f"{q}_{name} ({UNITS[q]})": value for q, value in values.items()}
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> EpochRecord:
        """Return the record that `to_json` was called on.

        Example:
            >>> record = EpochRecord(1, 9, 2.0, 0.1, 0.5, None, {"forces": 31.0}, {}, False)
            >>> EpochRecord.from_json(record.to_json()) == record
            True
        """

        def values(name: str) -> dict[str, float]:
            keys = {quantity: f"{quantity}_{name} ({unit})" for quantity, unit in UNITS.items()}
            return {q: content[key] for q, key in keys.items() if key in content}

        return cls(
            epoch=content["epoch"],
            step=content["step"],
            seconds=content["seconds"],
            rate=content["rate"],
            train_loss=content["train_loss"],
            valid_loss=content["valid_loss"],
            rmse=values("rmse"),
            mae=values("mae"),
            best=content["best"],
        )
