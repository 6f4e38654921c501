"""Energy, slope and curvature along a path, and their jumps where atoms cross the cutoff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64

from multiace.analysis.gradients import gradient_or_zero
from multiace.analysis.site_terms import site_terms, structure_graph
from multiace.geometry import Labels, Structure, neighbour_list
from multiace.kernels.segment_sum import segment_sum
from multiace.potential import Potential

_BESIDE = 1e-8
"""Each side is extrapolated to the crossing from this s beside it, and twice as far."""


@dataclass(frozen=True, eq=False)
class Scan:
    """E(s), dE/ds and d^2E/ds^2 along positions + s x displacement.

    Args:
        steps: s.
        energy: eV, without the E0 of the atoms.
        slope: eV per unit of s.
        curvature: eV per unit of s squared.
    """

    steps: Float64[np.ndarray, " steps"]
    energy: Float64[np.ndarray, " steps"]
    slope: Float64[np.ndarray, " steps"]
    curvature: Float64[np.ndarray, " steps"]


@dataclass(frozen=True)
class Jump:
    """What changes abruptly where a pair of atoms crosses the cutoff.

    Args:
        step: s of the crossing.
        energy: |E(s+) - E(s-)|, eV.
        slope: the same of dE/ds.
        curvature: the same of d^2E/ds^2.
    """

    step: float
    energy: float
    slope: float
    curvature: float

    def smoothness(self, tolerance: float = 1e-6) -> str:
        """Say how many derivatives are continuous: C2, C1, C0, or `discontinuous`.

        Args:
            tolerance: largest jump that counts as none, in the units of each.

        Example:
            >>> Jump(step=0.0, energy=0.0, slope=1e-12, curvature=0.3).smoothness()
            'C1'
        """
        jumps = {"discontinuous": self.energy, "C0": self.slope, "C1": self.curvature}
        return next((name for name, jump in jumps.items() if jump > tolerance), "C2")


def scan(
    potential: Potential,
    structure: Structure,
    displacement: Float[np.ndarray, "atoms 3"],
    steps: Sequence[float] | Float[np.ndarray, " steps"],
) -> Scan:
    """Evaluate a potential and its exact derivatives along a straight path.

    Args:
        potential: evaluated in its own dtype.
        structure: at s = 0.
        displacement: of each atom for s = 1, Å.
        steps: values of s.
    """
    s = np.asarray(steps, dtype=np.float64)
    graph = structure_graph(potential, [_moved(structure, displacement, value) for value in s])
    direction = torch.from_numpy(np.tile(displacement, (len(s), 1))).to(graph.edge_vectors)
    along = direction[graph.senders] - direction[graph.receivers]  # dr_ji / ds
    of_edge = graph.structure_of_node[graph.receivers]
    onwards = graph.edge_vectors.new_zeros(len(s)).requires_grad_()  # s, counted from each value
    with torch.enable_grad():
        edge_vectors = graph.edge_vectors + onwards[of_edge].unsqueeze(1) * along
        terms = site_terms(potential, replace(graph, edge_vectors=edge_vectors))
        energies = segment_sum(terms[:, 1:].sum(dim=1), graph.structure_of_node, len(s))
        (slopes,) = torch.autograd.grad(
            energies.sum(), onwards, create_graph=True, materialize_grads=True
        )
        curvatures = gradient_or_zero(slopes.sum(), onwards)
    return Scan(s, *(x.detach().cpu().numpy() for x in (energies, slopes, curvatures)))


def cutoff_jumps(
    potential: Potential,
    structure: Structure,
    displacement: Float[np.ndarray, "atoms 3"],
    interval: tuple[float, float] = (0.0, 1.0),
) -> list[Jump]:
    """Compare both sides of every crossing of the cutoff along a straight path.

    Args:
        potential: a float64 one, or rounding is all there is to see.
        structure: at s = 0.
        displacement: of each atom for s = 1, Å.
        interval: s from, to.

    Returns:
        One `Jump` for each s at which some pair, images included, is at the cutoff.
    """
    crossings = cutoff_crossings(structure, displacement, potential.cutoff, interval)
    if not crossings:
        return []
    sides = _BESIDE * np.array([-2.0, -1.0, 1.0, 2.0])
    found = scan(potential, structure, displacement, np.add.outer(crossings, sides).ravel())
    rows = []
    for values in (found.energy, found.slope, found.curvature):
        before2, before, after, after2 = values.reshape(-1, 4).T
        rows.append(np.abs((2.0 * after - after2) - (2.0 * before - before2)))
    return [Jump(s, *map(float, jumps)) for s, *jumps in zip(crossings, *rows, strict=True)]


def cutoff_crossings(
    structure: Structure,
    displacement: Float[np.ndarray, "atoms 3"],
    cutoff: float,
    interval: tuple[float, float] = (0.0, 1.0),
) -> list[float]:
    """List the s at which some pair is at the cutoff: |r_ji + s d_ji| = cutoff.

    Example:
        >>> pair = Structure(numbers=np.array([1, 1]), positions=np.diag([0.0, 3.0, 0.0])[:2])
        >>> cutoff_crossings(pair, np.diag([0.0, 1.0, 0.0])[:2], 3.25)
        [0.25]
    """
    low, high = interval
    reach = 2.0 * np.linalg.norm(displacement, axis=1).max() * max(abs(low), abs(high))
    edges = neighbour_list(structure, cutoff + reach + 1e-6)
    d = displacement[edges.senders] - displacement[edges.receivers]
    # a s^2 + 2 b s + c = 0
    a, b = np.square(d).sum(axis=1), (edges.vectors * d).sum(axis=1)
    c = np.square(edges.vectors).sum(axis=1) - cutoff**2
    discriminant = b**2 - a * c
    crossing = (a > 0) & (discriminant > 0)
    a, b, root = a[crossing], b[crossing], np.sqrt(discriminant[crossing])
    s = np.sort(np.concatenate([(-b - root) / a, (-b + root) / a]))
    s = s[(low < s) & (s < high)]
    distinct = np.diff(s, prepend=-np.inf) > 1e-12  # each pair is two edges
    return s[distinct].tolist()


def _moved(structure: Structure, displacement: Float[np.ndarray, "atoms 3"], s: float) -> Structure:
    return replace(structure, positions=structure.positions + s * displacement, labels=Labels())
