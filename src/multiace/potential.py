"""`Potential`: energy, forces and stress of batches of structures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from multiace.build import build_model
from multiace.design import Design, Statistics
from multiace.device import own_mode
from multiace.geometry.graph import Graph
from multiace.initialisation import Initialisation
from multiace.kernels.dispatch import select_kernels
from multiace.kernels.segment_sum import segment_sum
from multiace.layer.layer import Layer
from multiace.one_particle.radial_grid import RadialGrid

SHORTEST = 0.5
"""Distance in Å that no two atoms come nearer than in data worth learning."""


@dataclass(frozen=True)
class Prediction:
    """What a potential says of a batch.

    | quantity | field | unit |
    |---|---|---|
    | E | `energy` | eV |
    | E_i | `energies` | eV |
    | F_i = -dE/dr_i | `forces` | eV/Å |
    | (1/V) dE/d(strain), nan without volume | `stress` | eV/Å^3 |
    | -dE/d(strain) | `virial` | eV |
    | terms of E, named by `Potential.terms` | `contributions` | eV |
    """

    energy: Float64[Tensor, " structures"]
    energies: Float64[Tensor, " nodes"]
    contributions: Float64[Tensor, "structures terms"]
    forces: Float[Tensor, "nodes 3"] | None
    stress: Float[Tensor, "structures 3 3"] | None
    virial: Float[Tensor, "structures 3 3"] | None = None


class Potential(nn.Module):
    """A Design with weights, elements and statistics: E, F and stress of structures.

    Forces and stress come from dE/d(edge vector) alone. With gradients enabled the result can be
    differentiated again, as training on forces does, and by edge vectors that require gradients;
    under `torch.no_grad` it cannot.

    Args:
        design: the Design.
        elements: atomic numbers, sorted.
        statistics: what the model takes from its training set.
        dtype: compute dtype, float32 or float64; energies are summed in float64 in both.
        seed: seed of the initial weights.
        kernels: auto, cpu (compiled) or reference, see `multiace.kernels.dispatch`.
        device: where it will compute.
        prune: leave out what cannot reach a readout.

    Example:
        >>> import numpy as np
        >>> from multiace.geometry.graph import build_graph
        >>> from multiace.geometry.structure import Structure
        >>> from multiace.presets import botnet
        >>> statistics = Statistics(mean_neighbours=1.0, atomic_energies={"H": -13.6})
        >>> potential = Potential(botnet("small"), (1,), statistics, seed=0)
        >>> atom = Structure(numbers=np.array([1]), positions=np.zeros((1, 3)))
        >>> with torch.no_grad():
        ...     potential(build_graph(atom, 4.0, (1,))).energy.item()
        -13.6
    """

    @own_mode()
    def __init__(
        self,
        design: Design,
        elements: tuple[int, ...],
        statistics: Statistics,
        *,
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
        kernels: str = "auto",
        device: torch.device | str = "cpu",
        prune: bool = True,
    ) -> None:
        super().__init__()
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}.")
        if tuple(sorted(set(elements))) != tuple(elements) or not elements:
            raise ValueError(f"elements must be sorted and distinct, got {elements}.")
        normalisation = design.normalisation
        initial = Initialisation(
            seed, normalisation.initialisation, normalisation.fan_in, dtype=dtype
        )
        self.design, self.elements, self.statistics = design, tuple(elements), statistics
        self.pruned = prune
        self.kernels = select_kernels(kernels, device)
        self.model = build_model(
            design, self.elements, statistics, self.kernels, initial, prune=prune
        ).to(device=device, dtype=dtype)

    @property
    def dtype(self) -> torch.dtype:
        """Compute dtype: that of the weights.

        Constants of a float32 model stay rounded when it is converted; load or build it with
        float64 for their last digits.
        """
        return next(self.parameters()).dtype

    @property
    def cutoff(self) -> float:
        """Cutoff radius in Å."""
        return self.design.cutoff

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the contributions to the energy."""
        return self.model.terms

    @property
    def n_parameters(self) -> int:
        """Number of trainable weights."""
        return sum(weights.numel() for weights in self.parameters())

    def forward(self, graph: Graph, *, forces: bool = True, stress: bool = False) -> Prediction:
        """Evaluate a batch, in the dtype of the weights: within `torch.autocast` too.

        Args:
            graph: structures, on the device of the model.
            forces: also evaluate forces.
            stress: also evaluate stress and virial.
        """
        if torch.is_inference_mode_enabled():  # where there are no gradients, not even for forces
            with own_mode(graph.edge_vectors.device.type):
                return self(graph.clone(), forces=forces, stress=stress)
        differentiate = torch.is_grad_enabled()
        own_precision = torch.autocast(graph.edge_vectors.device.type, enabled=False)
        with (
            own_precision,
            torch.set_grad_enabled(differentiate or forces or stress),
            self.kernels.own_threads(),
        ):
            edge_vectors = graph.edge_vectors.to(self.dtype)
            if (forces or stress) and not edge_vectors.requires_grad:
                edge_vectors = edge_vectors.detach().requires_grad_()
            ends = (graph.senders, graph.receivers)
            terms = self.model(
                edge_vectors, *ends, graph.species, graph.n_nodes, graph.pairs
            )  # (nodes, terms)
            by_edge = None
            if forces or stress:
                by_edge = self._edge_gradient(terms, edge_vectors, differentiate)
        if not differentiate:
            terms, edge_vectors = terms.detach(), edge_vectors.detach()
        return prediction_of(graph, edge_vectors, terms, by_edge, forces=forces, stress=stress)

    @contextmanager
    def on_radial_grid(self, intervals: int | None) -> Iterator[None]:
        """Evaluate radial functions on a grid within a `with` block, see `RadialGrid`.

        Args:
            intervals: intervals up to the cutoff, or None: as ever.

        Raises:
            ValueError: fewer than 8 intervals, or a radial basis that depends on the elements.
        """
        edge_functions = self.model.edge_functions
        if intervals is not None and edge_functions.transform is not None:
            raise ValueError(
                "radial.transform makes the radial basis a function of the elements too, and the "
                "radial grid is one of distances. Leave out the grid, or set the transform to none."
            )
        before = edge_functions.grid
        edge_functions.grid = None if intervals is None else RadialGrid(self.cutoff, intervals)
        try:
            yield
        finally:
            edge_functions.grid = before

    def radial_grid_error(self, intervals: int) -> float:
        """Return the largest error of R on a grid, over the largest value of R.

        It is taken over all radial functions of all layers, between the points beyond 0.5 Å.

        Args:
            intervals: of the grid.
        """
        grid, edge_functions = RadialGrid(self.cutoff, intervals), self.model.edge_functions
        quarters = torch.arange(0.125, intervals, 0.25, dtype=torch.float64) * grid.width
        r = quarters[quarters > SHORTEST]
        weights, first = grid.place(r)
        worst = 0.0
        with torch.no_grad():
            for layer in cast(Iterable[Layer], self.model.layers):
                network = layer.atomic_basis.radial_network
                like = next(self.model.parameters())
                exact, at_points = (
                    network.functions(*edge_functions.radial_basis(d.to(like))).double().cpu()
                    for d in (r, grid.points)
                )  # (types, r, functions)
                rows = (grid.solve @ at_points)[:, first.unsqueeze(1) + torch.arange(4)]
                splined = (weights.unsqueeze(2) * rows).sum(dim=2)
                worst = max(worst, float((splined - exact).abs().max() / exact.abs().max()))
        return worst

    @staticmethod
    def _edge_gradient(terms: Tensor, edge_vectors: Tensor, create_graph: bool) -> Tensor:
        """dE/dr_ji; zero for graphs without edges, whose energy does not depend on any."""
        (gradient,) = torch.autograd.grad(
            terms.sum(), edge_vectors, create_graph=create_graph, materialize_grads=True
        )
        return gradient


def prediction_of(
    graph: Graph,
    edge_vectors: Float[Tensor, "edges 3"],
    terms: Float64[Tensor, "nodes terms"],
    by_edge: Float[Tensor, "edges 3"] | None,
    *,
    forces: bool,
    stress: bool,
) -> Prediction:
    """Sum what is known of nodes and edges over the structures of a graph.

    Args:
        graph: the structures.
        edge_vectors: r_ji, Å.
        terms: terms of each atom's energy, eV.
        by_edge: dE/dr_ji, eV/Å; needed for forces and stress.
        forces: whether forces are wanted.
        stress: whether stress and virial are wanted.
    """
    energies = terms.sum(dim=1)
    forces_of_nodes = virial = None
    if by_edge is not None and forces:  # first: autograd adds gradients in the order of operations
        forces_of_nodes = forces_of(graph, by_edge)
    if by_edge is not None and stress:
        virial = virial_of(graph, edge_vectors, by_edge)
    return Prediction(
        energy=segment_sum(energies, graph.structure_of_node, graph.n_structures),
        energies=energies,
        contributions=segment_sum(terms, graph.structure_of_node, graph.n_structures),
        forces=forces_of_nodes,
        stress=None if virial is None else stress_of(virial, graph.volume),
        virial=virial,
    )


def forces_of(graph: Graph, by_edge: Float[Tensor, "edges 3"]) -> Float[Tensor, "nodes 3"]:
    """Return F_k = sum_{e: receiver k} dE/dr_e - sum_{e: sender k} dE/dr_e, as r_ji = r_j - r_i."""
    of_receivers = segment_sum(by_edge, graph.receivers, graph.n_nodes)
    return of_receivers - segment_sum(by_edge, graph.senders, graph.n_nodes)


def virial_of(
    graph: Graph, edge_vectors: Float[Tensor, "edges 3"], by_edge: Float[Tensor, "edges 3"]
) -> Float[Tensor, "structures 3 3"]:
    """Return -dE/d(strain) = -sum_e r_e (x) dE/dr_e, symmetrised."""
    outer = edge_vectors.unsqueeze(2) * by_edge.unsqueeze(1)  # (edges, 3, 3)
    of_edge = graph.structure_of_node[graph.receivers]
    by_strain = segment_sum(outer, of_edge, graph.n_structures)
    return -0.5 * (by_strain + by_strain.mT)


def stress_of(
    virial: Float[Tensor, "structures 3 3"], volume: Float64[Tensor, " structures"]
) -> Float[Tensor, "structures 3 3"]:
    """Return -virial / V; nan for structures without volume."""
    volume = volume.to(virial.dtype).view(-1, 1, 1)
    # divide by 1 where there is none: 0 / nan would make the gradients of the whole batch nan
    stress = virial / torch.where(volume.isnan(), -1.0, -volume)
    return stress.masked_fill(volume.isnan(), torch.nan)
