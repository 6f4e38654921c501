"""`Evaluator`: a potential for one structure after another, as dynamics needs it."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter, getitem
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

from multiace.checkpoint import load_model
from multiace.device import own_mode
from multiace.elements import sorted_elements
from multiace.geometry import Graph, NeighbourList, Pairs, SkinList, Structure
from multiace.geometry.graph import species_of
from multiace.geometry.listed_pairs import ListedPairs
from multiace.potential import Potential, Prediction
from multiace.program import Plan, fastest

CLOSEST = 0.01
"""Å between two atoms, below which one is there twice."""


_ONE = torch.ones(1, dtype=torch.float64)


class Evaluation(NamedTuple):
    """What a potential says of one structure.

    Args:
        energy: eV.
        energies: of each atom, eV.
        forces: eV/Å.
        stress: (1/V) dE/d(strain), eV/Å^3; None without a volume.
        virial: -dE/d(strain), eV, whatever the periodic directions.
    """

    energy: float
    energies: Float64[np.ndarray, " atoms"]
    forces: Float64[np.ndarray, "atoms 3"]
    stress: Float64[np.ndarray, "3 3"] | None
    virial: Float64[np.ndarray, "3 3"]


class Evaluator:
    """Evaluates structures one after another, fastest where the next is much like the last.

    Neighbours are kept with a skin. A `Plan` computes where the kernels have an executor, made for
    the elements seen so far, and made anew when weights or constants of the potential have changed;
    elsewhere the potential does. Only changes through `.data` leave no trace: after these, call
    `reset`. Threads that share an evaluator wait for each other.

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
        self.neighbours = SkinList(
            potential.cutoff, skin, potential.kernels.listed_pairs or ListedPairs
        )
        self._plan: Plan | Potential | None = None
        self._folded: list[int] = []  # versions of the weights in the plan
        self._places, self._alone = _places(potential), threading.Lock()
        self._numbers, self._present = np.zeros(0, dtype=np.int64), set[int]()
        self._species = self._zeros = torch.zeros(0, dtype=torch.int64)
        self._n_checked = 0  # searches after which no two atoms were in one place
        self._senders: np.ndarray | None = None  # edges of the last structure
        self._ends, self._pairs = (self._zeros, self._zeros), Pairs(self._zeros, self._zeros)

    def evaluate(self, structure: Structure) -> Evaluation:
        """Evaluate energy, forces and, with a volume, stress.

        Raises:
            ElementError: an element that the potential does not know.
            ValueError: two atoms in one place.
        """
        if torch.is_inference_mode_enabled():  # tensors kept for the next time must be usual ones
            with own_mode():
                return self.evaluate(structure)
        with self._alone:
            return self._evaluate(structure)

    def _evaluate(self, structure: Structure) -> Evaluation:
        found = self._predict(self._graph(structure))
        virial, volume = _numpy(found.virial)[0], structure.volume
        return Evaluation(
            float(_numpy(found.energy)[0]),
            _numpy(found.energies),
            _numpy(found.forces),
            None if volume is None else -virial / volume,
            virial,
        )

    def _predict(self, graph: Graph) -> Prediction:
        """Return what the plan or the potential says, on the CPU."""
        weights = self._watched()
        model = self._current(weights)
        if isinstance(model, Plan):
            return model.evaluate(graph, forces=True, stress=True)
        with torch.no_grad():
            found = model(graph.to(weights[0].device, model.dtype), forces=True, stress=True)
        tensors = {name: each for name, each in vars(found).items() if each is not None}
        return replace(found, **{name: each.cpu() for name, each in tensors.items()})

    def reset(self) -> None:
        """Forget what was folded of the weights."""
        self._plan = None

    def weights_changed(self) -> bool:
        """Whether the potential is not the one that was evaluated last."""
        return self._plan is not None and _versions(self._watched()) != self._folded

    def __getstate__(self) -> dict[str, Any]:
        """Leave out of copies and pickles what they make themselves."""
        state = {**self.__dict__, "_plan": None, "_folded": []}
        del state["_places"], state["_alone"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the state of a copy or pickle."""
        self.__dict__.update(state)
        self._places, self._alone = _places(self.potential), threading.Lock()

    def _watched(self) -> list[torch.Tensor]:
        """Return the weights and constants of the moment."""
        return list(map(getitem, *self._places))

    def _graph(self, structure: Structure) -> Graph:
        numbers = structure.numbers
        if numbers is not self._numbers and not np.array_equal(numbers, self._numbers):
            self._species = torch.from_numpy(species_of(structure, self.potential.elements))
            self._zeros = torch.zeros_like(self._species)
            self._numbers, self._present = numbers, set(numbers.tolist())
        edges = self.neighbours.update(structure)
        if self.neighbours.n_searches != self._n_checked:
            _check_apart(structure, edges)
            self._n_checked = self.neighbours.n_searches
        if self._senders is not edges.senders:  # plans look for tensors that stay
            self._senders = edges.senders
            self._ends = (torch.from_numpy(edges.senders), torch.from_numpy(edges.receivers))
            self._pairs = Pairs.of(edges.reverse)
        return Graph(
            species=self._species,
            senders=self._ends[0],
            receivers=self._ends[1],
            edge_vectors=torch.from_numpy(edges.vectors),
            structure_of_node=self._zeros,
            n_structures=1,
            volume=_ONE,  # the virial is what counts
            pairs=self._pairs,
        )

    def _current(self, weights: Sequence[torch.Tensor]) -> Plan | Potential:
        """Return a plan for the current elements and weights, or the potential."""
        plan, versions = self._plan, _versions(weights)
        if plan is None or versions != self._folded or not self._present.issubset(plan.elements):
            known = () if plan is None else plan.elements
            elements = sorted_elements(self._present.union(known))
            plan = fastest(self.potential, elements=elements, exact=self.exact)
            self._plan, self._folded = plan, versions
        return plan


def _numpy(values: torch.Tensor | None) -> np.ndarray:
    assert values is not None
    return values.numpy().astype(np.float64, copy=False)


def _check_apart(structure: Structure, edges: NeighbourList) -> None:
    """Refuse atoms on top of each other: there is no direction for a force between them.

    Raises:
        ValueError: naming two of them.
    """
    squares = np.square(edges.vectors).sum(axis=1)
    if len(squares) and squares.min() < CLOSEST**2:
        k = int(squares.argmin())
        i, j = sorted((int(edges.receivers[k]), int(edges.senders[k])))
        raise ValueError(
            f"Atoms {i} and {j} are {math.sqrt(squares[k]):.2g} Å apart, one "
            "on top of the other. Take out atoms that are there twice, or mend the cell."
        )


def _places(potential: Potential) -> tuple[list[dict[str, Any]], list[str]]:
    """Return where each weight and constant is stored, weights first, for it may be replaced."""
    found = [
        (place, name)
        for module in potential.modules()
        for place in (module._parameters, module._buffers, vars(module))
        for name, value in place.items()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
    ]
    found.sort(key=lambda each: not isinstance(each[0][each[1]], torch.nn.Parameter))
    return [place for place, _ in found], [name for _, name in found]


def _versions(weights: Sequence[torch.Tensor]) -> list[int]:
    """Return where the numbers of each tensor are, and how often they were changed."""
    return [*map(_address, weights), *map(_version, weights)]


_address, _version = torch.Tensor.data_ptr, attrgetter("_version")
