r"""Losses as sums and counts, which add up over batches and devices to the value of the whole set.

With dE_b, dF_ia, dσ_b the errors (prediction minus label), N_b the atoms, w_b the weight of b:

| kind | energy term | forces term |
|---|---|---|
| ef | mean_b w_b dE_b² | mean_{i,a} w_b dF_ia² |
| weighted | mean_b w_b dE_b² / N_b | mean_{i,a} w_b dF_ia² |
| per_atom | mean_b w_b (dE_b / N_b)² | mean_{i,a} w_b dF_ia² |
| ace | sum_b w_b dE_b² / N_b / sum_b N_b | sum_{i,a} w_b dF_ia² / sum_b N_b |
| huber | mean_b w_b H(dE_b / N_b) | mean_{i,a} w_b H(dF_ia) |

H(x) = x²/2 for |x| <= delta, else delta (|x| - delta/2). The stress term is the mean over
structures and the nine components of w_b dσ² (of w_b H(dσ) for huber). The loss is

    L = weight_energy * energy term + weight_forces * forces term + weight_stress * stress term.

Means and sums run over what has a label: a missing one adds to neither sum nor count. The weights
w_b enter the sums only: a structure of weight 2 pulls twice as hard, whatever else is in its batch.
Errors are formed and added in float64.

Source: Batatia et al. 2025 (losses ef, weighted and ace of the authors' code; there ace has the
weights 225 and 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from multiace.training.examples import Targets

if TYPE_CHECKING:
    from multiace.potential import Prediction
    from multiace.training.config import Loss, Weights


@dataclass(frozen=True, eq=False)
class Terms:
    """Sums and counts of the energy, forces and stress terms, in this order.

    Args:
        sums: eV², (eV/Å)², (eV/Å^3)² or as the kind of loss says; differentiable.
        counts: what each sum is divided by.
    """

    sums: Float64[Tensor, " terms"]
    counts: Float64[Tensor, " terms"]

    def __add__(self, other: Terms) -> Terms:
        return Terms(self.sums + other.sums, self.counts + other.counts)

    def detach(self) -> Terms:
        """Return the same numbers without their history."""
        return Terms(self.sums.detach(), self.counts)

    def value(self, weights: Float64[Tensor, " terms"]) -> Float64[Tensor, ""]:
        """Return the loss; a term without any label adds nothing.

        Example:
            >>> terms = Terms(torch.tensor([8.0, 0.0, 0.0]).double(), torch.eye(3)[0].double() * 2)
            >>> terms.value(torch.ones(3).double()).item()
            4.0
        """
        return (weights * self.sums / self.counts.clamp(min=1.0)).sum()


def no_terms(device: torch.device | str = "cpu") -> Terms:
    """Return the terms of no structure at all."""
    zeros = torch.zeros(3, dtype=torch.float64, device=device)
    return Terms(zeros, zeros)


def weights_at(loss: Loss, epoch: int) -> Float64[Tensor, " terms"]:
    """Return the weights of energy, forces and stress in an epoch.

    Example:
        >>> from multiace.training.config import Loss
        >>> second = {"epoch": 5, "energy": 100, "forces": 1}
        >>> weights_at(Loss(second=second), 5).tolist()
        [100.0, 1.0, 0.0]
    """
    stage: Loss | Weights = loss
    if loss.second is not None and epoch >= loss.second.epoch:
        stage = loss.second
    return torch.tensor([stage.energy, stage.forces, stage.stress], dtype=torch.float64)


def loss_terms(prediction: Prediction, targets: Targets, loss: Loss) -> Terms:
    """Compare a prediction with labels.

    Args:
        prediction: of the batch; forces and stress may be None, which drops their terms.
        targets: labels of the same batch.
        loss: kind of loss and, for huber, its deltas.
    """
    zero = torch.zeros((), dtype=torch.float64, device=targets.energy.device)
    pairs = [_energy_term(prediction.energy, targets, loss), (zero, zero), (zero, zero)]
    if prediction.forces is not None:
        pairs[1] = _forces_term(prediction.forces, targets, loss)
    if prediction.stress is not None:
        pairs[2] = _stress_term(prediction.stress, targets, loss)
    sums, counts = zip(*pairs, strict=True)
    return Terms(torch.stack(sums), torch.stack(counts))


def _energy_term(
    energy: Float64[Tensor, " structures"], targets: Targets, loss: Loss
) -> tuple[Float64[Tensor, ""], Float64[Tensor, ""]]:
    mask, n_atoms = targets.has_energy, targets.n_atoms
    error = _labelled(energy.double() - targets.energy, mask)
    if loss.kind == "huber":
        terms = huber(error / n_atoms, loss.energy_delta)
    else:
        power = {"ef": 0, "weighted": 1, "ace": 1, "per_atom": 2}[loss.kind]
        terms = error**2 / n_atoms**power
    count = (mask * n_atoms).sum() if loss.kind == "ace" else mask.sum().double()
    return (targets.weight * terms).sum(), count


def _forces_term(
    forces: Float[Tensor, "nodes 3"], targets: Targets, loss: Loss
) -> tuple[Float64[Tensor, ""], Float64[Tensor, ""]]:
    mask = targets.has_forces
    weight = torch.repeat_interleave(targets.weight, targets.n_atoms.long())  # (nodes,)
    error = _labelled(forces.double() - targets.forces, mask.unsqueeze(1))
    terms = huber(error, loss.forces_delta) if loss.kind == "huber" else error**2
    components = 1 if loss.kind == "ace" else 3
    return (weight.unsqueeze(1) * terms).sum(), components * mask.sum().double()


def _stress_term(
    stress: Float[Tensor, "structures 3 3"], targets: Targets, loss: Loss
) -> tuple[Float64[Tensor, ""], Float64[Tensor, ""]]:
    mask, weight = targets.has_stress, targets.weight
    error = _labelled(stress.double() - targets.stress, mask[:, None, None])
    terms = huber(error, loss.stress_delta) if loss.kind == "huber" else error**2
    return (weight[:, None, None] * terms).sum(), 9 * mask.sum().double()


def _labelled(error: Float64[Tensor, "*shape"], mask: Bool[Tensor, "..."]) -> Tensor:
    """Return zero where there is no label, whatever the error is there: a NaN adds nothing."""
    return torch.where(mask, error, torch.zeros_like(error))


def huber(error: Float64[Tensor, "..."], delta: float) -> Float64[Tensor, "..."]:
    """Return x²/2 up to |x| = delta and its tangent beyond.

    Example:
        >>> huber(torch.tensor([1.0, 4.0]).double(), 2.0).tolist()
        [0.5, 6.0]
    """
    size = error.abs()
    return torch.where(size <= delta, 0.5 * error**2, delta * (size - 0.5 * delta))
