"""What must hold before anything is timed: the same edges, energies, forces, losses, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from benchmarks.cpu.ours import Ours, Peer
from torch import Tensor

TOLERANCES = {"float64": 1e-9, "float32": 1e-4, "spline": 1e-3}
"""Largest deviation allowed: of a force over the RMS force, of an energy over the RMS force times
1 Å an atom, of a loss over the loss, of the gradient along the weights over |gradient| |weights|.
float32 is the sum of the rounding of two codes; `spline` is the plan with splines against the
peer."""


class DifferentResultsError(AssertionError):
    """The two codes do not compute the same function, so that times would mean nothing."""


def check_edges(ours: Ours, peer: Peer) -> int:
    """Assert that both have the same directed edges; return how many."""
    graph = ours.graph
    mine = _sorted(graph.senders, graph.receivers, graph.edge_vectors)
    theirs = _sorted(*peer.edges())
    if mine.shape != theirs.shape or np.abs(mine - theirs).max() > 1e-4:
        raise DifferentResultsError(f"{len(mine)} edges here and {len(theirs)} there differ.")
    return len(mine)


def _sorted(senders: Tensor, receivers: Tensor, vectors: Tensor) -> np.ndarray:
    rows = torch.cat([receivers[:, None], senders[:, None], vectors.detach()], dim=1)
    rows = rows.double().numpy()
    rounded = rows.round(2)  # images of one atom differ by a cell vector
    return rows[np.lexsort(rounded.T[::-1])]


def check_energy_forces(
    name: str, mine: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]
) -> dict[str, float]:
    """Assert equal energies and forces; return the deviations and what they are relative to."""
    forces = theirs[1].double()
    rms = float(forces.square().mean().sqrt())
    by_force = float((mine[1].double() - forces).abs().max()) / rms
    by_energy = abs(float(mine[0]) - float(theirs[0])) / (rms * len(forces))
    tolerance = TOLERANCES[name]
    if not max(by_force, by_energy) <= tolerance:
        raise DifferentResultsError(
            f"{name}: forces differ by {by_force:.1e} of the RMS force, energies by "
            f"{by_energy:.1e}; allowed are {tolerance:.0e}."
        )
    return {
        "rms_force": rms,
        "largest_force_deviation_over_rms": by_force,
        "energy_deviation_per_atom_over_rms_force": by_energy,
        "tolerance": tolerance,
    }


def check_training_step(
    name: str, ours: Ours, peer: Peer, mode: Any, *, traced: bool
) -> dict[str, float]:
    """Assert equal losses, and equal derivatives of the loss when all weights grow alike.

    Weights of one code are those of the other up to signs and order, so that sum_w w dL/dw is the
    same number in both; but for those of the chemical embedding, which nequip uses in several
    places and multiace folds into other weights there.
    """
    mine, theirs = float(ours.training_step(traced=traced)), float(peer.training_step(mode))
    slope, size = _along_weights(ours.parameters())
    their_slope, _ = _along_weights(peer.parameters(mode))
    by_loss, by_slope = abs(mine - theirs) / theirs, abs(slope - their_slope) / size
    tolerance = TOLERANCES[name]
    if not max(by_loss, by_slope) <= tolerance:
        raise DifferentResultsError(
            f"{name}: losses differ by {by_loss:.1e}, gradients by {by_slope:.1e}; allowed are "
            f"{tolerance:.0e}."
        )
    return {
        "loss_deviation": by_loss,
        "gradient_deviation_along_weights": by_slope,
        "tolerance": tolerance,
    }


def _along_weights(parameters: dict[str, torch.nn.Parameter]) -> tuple[float, float]:
    """Return sum_w w dL/dw, and |w| |dL/dw|."""
    pairs = [
        (weights.detach().double(), weights.grad.double())
        for name, weights in parameters.items()
        if weights.grad is not None and "embed" not in name
    ]
    slope = sum(float((w * g).sum()) for w, g in pairs)
    norms = [
        sum(float(t.square().sum()) for t in column) ** 0.5 for column in zip(*pairs, strict=True)
    ]
    return slope, norms[0] * norms[1]
