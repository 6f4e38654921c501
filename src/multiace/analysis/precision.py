"""What float32 costs: errors against the same weights in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from multiace.analysis.errors import ErrorRow, compare
from multiace.analysis.predict import predict
from multiace.geometry import Structure
from multiace.potential import Potential


def float32_errors(potential: Potential, structures: Sequence[Structure]) -> ErrorRow:
    """Compare float32 with float64, the weights rounded to float32 in both.

    Args:
        potential: of either precision; it is not changed.
        structures: what to evaluate; their labels are not looked at.

    Returns:
        Errors of energy, energy per atom, forces and stress over all structures.

    Raises:
        ElementError: an element that the potential does not know.

    Example:
        >>> import numpy as np
        >>> from multiace.design import Statistics
        >>> from multiace.presets import botnet
        >>> statistics = Statistics(mean_neighbours=1.0, atomic_energies={"H": -13.6})
        >>> potential = Potential(botnet("small"), (1,), statistics, seed=0)
        >>> pair = Structure(numbers=np.array([1, 1]), positions=np.array([[0, 0, 0], [0, 0, 0.7]]))
        >>> float32_errors(potential, [pair]).energy_per_atom.largest < 1e-5
        True
    """
    single = _in_dtype(potential, torch.float32)
    double = _in_dtype(single, torch.float64)
    exact = predict(double, structures, stress=True)
    labelled = [replace(s, labels=labels) for s, labels in zip(structures, exact, strict=True)]
    return compare(labelled, predict(single, structures, stress=True)).total


def _in_dtype(potential: Potential, dtype: torch.dtype) -> Potential:
    """Build the potential anew, every constant in this dtype, with the same weights."""
    other = Potential(
        potential.design,
        potential.elements,
        potential.statistics,
        dtype=dtype,
        prune=potential.pruned,
    )
    other.load_state_dict(potential.state_dict())
    return other
