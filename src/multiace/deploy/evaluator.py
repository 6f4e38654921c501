"""`Evaluator`: a potential for one structure after another, as dynamics needs it."""

from __future__ import annotations

from os import PathLike
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

from multiace.checkpoint import load_model
from multiace.elements import sorted_elements
from multiace.geometry import Graph, Pairs, SkinList, Structure
from multiace.geometry.graph import species_of
from multiace.plan import Plan
from multiace.potential import Potential


class Evaluation(NamedTuple):
    """What a potential says of one structure.

    Args:
        energy: eV.
        energies: of each atom, eV.
        forces: eV/Å.
        stress: (1/V) dE/d(strain), eV/Å^3; None without a volume.
    """

    energy: float
    energies: Float64[np.ndarray, " atoms"]
    forces: Float64[np.ndarray, "atoms 3"]
    stress: Float64[np.ndarray, "3 3"] | None


class Evaluator:
    """Evaluates structures one after another, fastest where the next is much like the last.

    Neighbours are kept with a skin. On the CPU a `Plan` computes, made for the elements seen so
    far, and made anew when weights of the potential have changed; elsewhere the potential does.

    Args:
        potential: a model file, or a `Potential`, used as it is.
        dtype: compute type of a model read from a file; None is the one it was trained in.
        device: where a model read from a file computes: auto, cpu, cuda or cuda:N.
        exact: evaluate the radial network for every edge, and no splines.
        skin: see `SkinList`; Å.

    Raises:
        ValueError: `dtype` or `device` is given for a `Potential`, or the skin is negative.
        ModelFileError: the file is not a model.
        DeviceError: a GPU that is not there.

    Example:
        >>> from multiace import presets
        >>> from multiace.design import Statistics
        >>> statistics = Statistics(mean_neighbours=1.0, atomic_energies={"H": -13.6})
        >>> evaluator = Evaluator(Potential(presets.botnet("small"), (1,), statistics))
        >>> atom = Structure(numbers=np.array([1]), positions=np.zeros((1, 3)))
        >>> evaluator.evaluate(atom).energy
        -13.6
    """

    def __init__(
        self,
        potential: Potential | str | PathLike[str],
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        exact: bool = False,
        skin: float = 0.5,
    ) -> None:
        if not isinstance(potential, Potential):
            potential = load_model(potential, dtype=dtype, device=device or "cpu")
        elif dtype is not None or device is not None:
            raise ValueError(
                "dtype and device belong to a model file: a Potential keeps its own. Leave "
                "them out, or pass the file's path."
            )
        self.potential, self.exact = potential, exact
        self.neighbours = SkinList(potential.cutoff, skin)
        self._plan: Plan | None = None
        self._parameters = list(potential.parameters())
        self._weights: list[tuple[int, int]] = []
        self._numbers = np.zeros(0, dtype=np.int64)
        self._species = self._zeros = torch.zeros(0, dtype=torch.int64)

    def evaluate(self, structure: Structure) -> Evaluation:
        """Evaluate energy, forces and, with a volume, stress.

        Raises:
            ElementError: an element that the potential does not know.
        """
        graph = self._graph(structure)
        periodic = structure.volume is not None
        device = self._parameters[0].device
        if device.type == "cpu":
            found = self._current_plan().evaluate(graph, forces=True, stress=periodic)
        else:
            with torch.no_grad():
                found = self.potential(
                    graph.to(device, self.potential.dtype), forces=True, stress=periodic
                )
        assert found.forces is not None
        return Evaluation(
            float(found.energy[0]),
            found.energies.cpu().double().numpy(),
            found.forces.cpu().double().numpy(),
            None if found.stress is None else found.stress[0].cpu().double().numpy(),
        )

    def _graph(self, structure: Structure) -> Graph:
        if not np.array_equal(structure.numbers, self._numbers):
            self._species = torch.from_numpy(species_of(structure, self.potential.elements))
            self._zeros = torch.zeros_like(self._species)
            self._numbers = structure.numbers
        edges = self.neighbours.update(structure)
        volume = structure.volume
        return Graph(
            species=self._species,
            senders=torch.from_numpy(edges.senders),
            receivers=torch.from_numpy(edges.receivers),
            edge_vectors=torch.from_numpy(edges.vectors),
            structure_of_node=self._zeros,
            n_structures=1,
            volume=torch.tensor([np.nan if volume is None else volume], dtype=torch.float64),
            pairs=Pairs.of(edges.reverse),
        )

    def _current_plan(self) -> Plan:
        """Return a plan for the elements and weights of the moment."""
        plan = self._plan
        weights = [(w.data_ptr(), w._version) for w in self._parameters]
        present = set(self._numbers.tolist())
        if plan is None or weights != self._weights or not present <= set(plan.elements):
            if plan is not None:
                present |= set(plan.elements)
            plan = Plan(self.potential, elements=sorted_elements(present), exact=self.exact)
            self._plan, self._weights = plan, weights
        return plan
