"""Energies, forces and stress from what a plan knows of atoms and edges."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from multiace.kernels.cpu.bound_kernel import Array, BoundKernel, BoundSequence
from multiace.kernels.cpu.library import library, pointer


class EnergyTermsArguments(ctypes.Structure):
    """`MultiaceEnergyTerms` of csrc/prediction.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "n_nodes n_terms n_read".split()),
        *((name, ctypes.c_void_p) for name in "constants factors read terms".split()),
    )


class SumTerms:
    """Terms of the energy of each owned atom: constants, and to the last of them what is read out.

    Args:
        arrays: what is read out.
    """

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.arrays = list(arrays)
        self.terms = torch.zeros((0, len(self.arrays)), dtype=torch.float64)
        self._kernel = BoundKernel("energy_terms", arrays[0].value.dtype, EnergyTermsArguments())
        self._sequence = BoundSequence([self._kernel])

    def take(self, constants: Tensor, factors: Tensor) -> None:
        """Take the nodes there are.

        Args:
            constants: (nodes, terms).
            factors: of what is read out, (arrays, nodes).
        """
        self.terms = torch.empty_like(constants)
        addresses = [array.value.data_ptr() for array in self.arrays]
        self._kernel.set(
            n_nodes=len(constants),
            n_terms=constants.shape[1],
            n_read=len(self.arrays),
            constants=constants,
            factors=factors,
            read=torch.tensor(addresses, dtype=torch.int64),
            terms=self.terms,
        )

    def forward(self) -> None:
        """Write the terms."""
        self._sequence.run()


class Arguments(ctypes.Structure):
    """`MultiacePrediction` of csrc/prediction.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in "n_nodes n_edges n_structures n_terms".split()),
        *((name, ctypes.c_void_p) for name in "structure_of_node senders receivers".split()),
        *((name, ctypes.c_void_p) for name in "terms volumes vectors gradient".split()),
        *((name, ctypes.c_void_p) for name in "energies energy contributions".split()),
        *((name, ctypes.c_void_p) for name in "forces stress".split()),
    )


def predict(
    terms: Float64[Tensor, "nodes terms"],
    structure_of_node: Int64[Tensor, " nodes"],
    volumes: Float64[Tensor, " structures"],
    senders: Int64[Tensor, " edges"],
    receivers: Int64[Tensor, " edges"],
    edge_vectors: Float[Tensor, "edges 3"],
    by_edge: Float[Tensor, "edges 3"] | None,
    *,
    forces: bool,
    stress: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return energies of structures and atoms, contributions, forces and stress.

    What `multiace.potential.prediction_of` defines, in one pass and without derivatives.

    Args:
        terms: of each atom's energy, eV.
        structure_of_node: index of the structure of each atom.
        volumes: Å^3; nan where there is none.
        senders: neighbour j of each edge.
        receivers: centre i of each edge.
        edge_vectors: r_ji, Å.
        by_edge: dE/dr_ji, eV/Å; None: neither forces nor stress.
        forces: whether forces are wanted.
        stress: whether stress is wanted.

    Raises:
        IndexError: an index of a node or structure that there is not.
    """
    (n_nodes, n_terms), n_structures = terms.shape, len(volumes)
    energies, energy = terms.new_empty(n_nodes), terms.new_empty(n_structures)
    contributions = terms.new_empty((n_structures, n_terms))
    of_nodes = of_structures = None
    if by_edge is not None and forces:
        of_nodes = by_edge.new_empty((n_nodes, 3))
    if by_edge is not None and stress:
        of_structures = by_edge.new_empty((n_structures, 3, 3))
    inputs = {
        "terms": terms,
        "structure_of_node": structure_of_node,
        "volumes": volumes,
        "senders": senders,
        "receivers": receivers,
        "vectors": edge_vectors,
        "gradient": by_edge,
    }
    kept = {name: None if x is None else x.contiguous() for name, x in inputs.items()}
    call = Arguments(
        n_nodes=n_nodes,
        n_edges=len(senders),
        n_structures=n_structures,
        n_terms=n_terms,
        energies=pointer(energies),
        energy=pointer(energy),
        contributions=pointer(contributions),
        forces=pointer(of_nodes),
        stress=pointer(of_structures),
        **{name: pointer(tensor) for name, tensor in kept.items()},
    )
    library().call("prediction", edge_vectors.dtype, call)
    return energy, energies, contributions, of_nodes, of_structures
