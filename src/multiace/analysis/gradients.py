"""Forces, stress and Hessian by independent routes: differences of energies, second derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from multiace.analysis.site_terms import site_terms, structure_graph, terms_of_atoms
from multiace.geometry import Graph, Labels, Structure
from multiace.potential import Potential

FORCE_STEP = 1e-4
"""Displacement of an atom in Å: below it rounding grows, above it the neglected h^4 term."""

STRAIN_STEP = 1e-5
"""Strain, which moves atoms a few Å apart by a few 1e-5 Å."""

_STENCIL = ((1.0, -1.0 / 6.0), (-1.0, 1.0 / 6.0), (0.5, 4.0 / 3.0), (-0.5, -4.0 / 3.0))
"""Points and weights of (4 D(h/2) - D(h)) / 3, D(h) = (E(h) - E(-h)) / 2h, error O(h^4)."""

_STRAINS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def interaction_energies(
    potential: Potential, structures: Sequence[Structure]
) -> Float64[np.ndarray, " structures"]:
    """Return the energy of each structure without the E0 of its atoms, eV.

    E0, often thousands of eV, is left out before the sum, so that small differences of
    energies keep their digits.
    """
    terms = terms_of_atoms(potential, structures)
    return np.array([of_atoms[:, 1:].sum() for of_atoms in terms])


def numerical_forces(
    potential: Potential, structure: Structure, *, step: float = FORCE_STEP
) -> Float64[np.ndarray, "atoms 3"]:
    """Return -dE/dr by central differences with Richardson extrapolation, eV/Å.

    Every displaced structure is built anew, neighbours included.

    Args:
        potential: a float64 one, or rounding is all there is to see.
        structure: where.
        step: largest displacement, Å.
    """

    def displaced(coordinate: int, distance: float) -> Structure:
        positions = structure.positions.copy()
        positions[coordinate // 3, coordinate % 3] += distance
        return replace(structure, positions=positions, labels=Labels())

    slopes = _slopes(potential, displaced, 3 * structure.n_atoms, step)
    return -slopes.reshape(-1, 3)


def numerical_stress(
    potential: Potential, structure: Structure, *, step: float = STRAIN_STEP
) -> Float64[np.ndarray, "3 3"]:
    """Return (1/V) dE/d(strain) by central differences with Richardson extrapolation, eV/Å^3.

    Six symmetric strains of positions and cell; every strained structure is built anew.

    Args:
        potential: a float64 one, or rounding is all there is to see.
        structure: periodic in three directions.
        step: largest strain.

    Raises:
        ValueError: a structure without volume.
    """
    cell, volume = structure.cell, structure.volume
    if cell is None or volume is None:
        raise ValueError(f"A stress needs three periodic directions, got pbc = {structure.pbc}.")

    def strained(component: int, amount: float) -> Structure:
        row, column = _STRAINS[component]
        strain = np.eye(3)
        strain[row, column] += amount / 2
        strain[column, row] += amount / 2
        positions = structure.positions @ strain
        return replace(structure, positions=positions, cell=cell @ strain, labels=Labels())

    slopes = _slopes(potential, strained, len(_STRAINS), step) / volume
    stress = np.zeros((3, 3))
    for (row, column), slope in zip(_STRAINS, slopes, strict=True):
        stress[row, column] = stress[column, row] = slope
    return stress


def _slopes(
    potential: Potential, changed: Callable[[int, float], Structure], n: int, step: float
) -> Float64[np.ndarray, " coordinates"]:
    """Differentiate the energy with respect to n coordinates."""
    structures = [changed(k, step * point) for k in range(n) for point, _ in _STENCIL]
    energies = interaction_energies(potential, structures).reshape(n, len(_STENCIL))
    return energies @ np.array([weight for _, weight in _STENCIL]) / step


def hessian(potential: Potential, structure: Structure) -> Float64[np.ndarray, "size size"]:
    """Return d^2 E / dr_k dr_l by automatic differentiation, eV/Å^2.

    Cost: one second backward pass for each of the 3 n coordinates.

    Returns:
        (3 n, 3 n), coordinates x, y, z of atom after atom; images of an atom move with it.
    """
    return hessians(potential, structure, ([*range(len(potential.terms))],))[0]


def hessians(
    potential: Potential, structure: Structure, groups: Sequence[Sequence[int]]
) -> Float64[np.ndarray, "groups size size"]:
    """Return the Hessians of sums of terms of the energy, eV/Å^2.

    Args:
        potential: a float64 one.
        structure: where.
        groups: places in `potential.terms` of the terms of each sum.

    Returns:
        One Hessian for each group, as `hessian` returns it.
    """
    graph = structure_graph(potential, [structure])
    displacements = graph.edge_vectors.new_zeros((graph.n_nodes, 3)).requires_grad_()
    found = []
    with torch.enable_grad():
        terms = displaced_terms(potential, graph, displacements)
        for group in groups:
            energy = terms[:, list(group)].sum()
            (gradient,) = torch.autograd.grad(
                energy, displacements, create_graph=True, materialize_grads=True
            )
            rows = [gradient_or_zero(slope, displacements) for slope in gradient.flatten()]
            found.append(torch.stack(rows).flatten(1))
    return torch.stack(found).cpu().numpy()


def displaced_energies(
    potential: Potential, graph: Graph, displacements: Float64[Tensor, "nodes 3"]
) -> Float64[Tensor, " nodes"]:
    """Return E_i as a function of displacements of the atoms; see `displaced_terms`."""
    return displaced_terms(potential, graph, displacements).sum(dim=1)


def displaced_terms(
    potential: Potential, graph: Graph, displacements: Float64[Tensor, "nodes 3"]
) -> Float64[Tensor, "nodes terms"]:
    """Return the terms of E_i as functions of displacements of the atoms, to be differentiated.

    Edges are those of the graph: displacements are meant to be infinitesimal.

    Args:
        potential: evaluated in its own dtype.
        graph: where, with edge vectors in float64.
        displacements: Å; zero gives the energies of the graph.
    """
    moved = displacements[graph.senders] - displacements[graph.receivers]
    return site_terms(potential, replace(graph, edge_vectors=graph.edge_vectors + moved))


def gradient_or_zero(value: Tensor, variable: Tensor) -> Tensor:
    """Differentiate; what does not depend on anything has the gradient zero."""
    if not value.requires_grad:
        return torch.zeros_like(variable)
    (gradient,) = torch.autograd.grad(value, variable, retain_graph=True, materialize_grads=True)
    return gradient
