"""Closed-form fits of potentials that are linear in their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64

from multiace.fitting.least_squares import LeastSquares, Rule, Solution
from multiace.fitting.rows import VOIGT, LinearModel
from multiace.geometry.graph import build_graph
from multiace.geometry.structure import Structure
from multiace.kernels.tables import ProductTable
from multiace.potential import Potential


@dataclass(frozen=True)
class LabelWeights:
    """Factors of the equations.

    Args:
        energy: of an energy over sqrt(atoms), 1/eV.
        forces: of each component of a force, Å/eV.
        virial: of each component of a virial over sqrt(atoms), 1/eV; 0: left out.
    """

    energy: float = 30.0
    forces: float = 1.0
    virial: float = 0.0


@dataclass(frozen=True)
class Smoothness:
    """The prior sum_i (l_i / l_scale)^power + (n_i / n_scale)^power of each function.

    Functions that oscillate fast, of high n and l, cost more, so that what the data leave open is
    smooth. Power 0 costs every function alike.

    Args:
        power: of n and l.
        n_scale: n that costs as much as l_scale.
        l_scale: the same of l.
    """

    power: float = 3.0
    n_scale: float = 1.0
    l_scale: float = 2.0 / 3.0

    def of(self, table: ProductTable) -> Float64[np.ndarray, " paths"]:
        """Return what each weight of one element costs."""
        irreps, costs = table.irreps_in.irreps, []
        for width, counts, irrep in zip(
            table.irreps_out.channels, table.n_paths, table.irreps_out.irreps, strict=True
        ):
            for order in range(1, len(counts) + 1):
                for factors, _ in table.functions(irrep, order):
                    cost = sum(
                        (irreps[f.irrep].l / self.l_scale) ** self.power
                        + (f.n / self.n_scale) ** self.power
                        for f in factors
                    )
                    costs += [cost] * width
        return np.array(costs, dtype=np.float64)


def fit(
    potential: Potential,
    structures: Sequence[Structure],
    *,
    weights: LabelWeights = LabelWeights(),
    prior: Smoothness = Smoothness(),
    regularisation: Rule | float = "gcv",
    on_progress: Callable[[int], None] | None = None,
) -> Solution:
    """Fit the weights of a linear potential in closed form; they are written into it.

    Rows of energies, forces and virials are assembled structure by structure, once E0, shift and
    core repulsion are subtracted; of all of them only the triangle of a QR factorisation is kept.

    Args:
        potential: a float64 potential of a linear design, see `multiace.fitting.rows`.
        structures: with labels; what a structure lacks is left out. `Structure.weight` counts.
        weights: factors of the labels.
        prior: what weights cost.
        regularisation: lambda, or how it is chosen, see `LeastSquares.solve`.
        on_progress: called with the number of structures that are done.

    Returns:
        The solution; functions that no structure has are in its `occurs`, and have weight zero.

    Raises:
        ValueError: the design is not linear, no structure has labels, or without regularisation
            the data do not determine the weights.

    Source: Dusson et al., J. Comput. Phys. 454, 110946 (2022); Witt et al., J. Chem. Phys. 159,
    164101 (2023), smoothness priors.
    """
    model = LinearModel(potential)
    model.weights = np.zeros(len(model.weights))
    equations = LeastSquares(len(model.weights))
    for number, structure in enumerate(structures, 1):
        for rows, targets in _equations(model, structure, weights):
            equations.add(rows, targets)
        if on_progress is not None:
            on_progress(number)
    if equations.n_equations == 0:
        raise ValueError(
            f"None of {len(structures)} structures has a label that weights ask for. Give energies "
            "or forces."
        )
    table = model.message.product_basis.table
    n_elements = len(model.weights) // table.n_weights
    solution = equations.solve(np.tile(prior.of(table), n_elements), regularisation)
    model.weights = solution.weights
    return solution


def _equations(
    model: LinearModel, structure: Structure, weights: LabelWeights
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Give the weighted equations of a structure; the model has no weights yet."""
    potential, labels = model.potential, structure.labels
    graph = build_graph(structure, potential.cutoff, potential.elements)
    with torch.no_grad():
        fixed = potential(graph, forces=True, stress=True)
    rows = model.rows(graph)
    size = structure.weight / np.sqrt(structure.n_atoms)
    if labels.energy is not None and weights.energy > 0:
        factor = weights.energy * size
        target = labels.energy - float(fixed.energy[0])
        yield factor * rows.energy[None], np.array([factor * target])
    if labels.forces is not None and weights.forces > 0:
        factor = weights.forces * structure.weight
        yield factor * rows.forces, factor * (labels.forces - fixed.forces.numpy()).ravel()
    if labels.stress is not None and structure.volume is not None and weights.virial > 0:
        factor = weights.virial * size
        virial = -structure.volume * labels.stress - fixed.virial[0].numpy()
        yield factor * rows.virial, factor * np.array([virial[c, d] for c, d in VOIGT])
