"""`Ensemble`: potentials of the same data whose spread is the uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float64

from multiace.elements import format_elements
from multiace.potential import Potential


class Ensemble:
    """Several potentials, usually one design trained with several seeds.

    Its prediction is the mean over the members, and the uncertainty of a prediction is their
    standard deviation, with n - 1 in the denominator. Members may differ in design and cutoff.

    Args:
        potentials: at least two, for the same elements, of the same dtype and on one device.

    Raises:
        ValueError: fewer than two, or they do not belong together.

    Source: Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017, arXiv:1612.01474.

    Example:
        >>> from multiace.design import Statistics
        >>> from multiace.presets import botnet
        >>> statistics = Statistics(mean_neighbours=1.0, atomic_energies={"H": -13.6})
        >>> members = [Potential(botnet("small"), (1,), statistics, seed=s) for s in (0, 1)]
        >>> ensemble = Ensemble(members)
        >>> len(ensemble), ensemble.cutoff == botnet("small").cutoff
        (2, True)
    """

    def __init__(self, potentials: Sequence[Potential]) -> None:
        self.potentials = tuple(potentials)
        if len(self.potentials) < 2:
            raise ValueError(
                f"An ensemble needs at least two potentials, got {len(self.potentials)}. "
                "Train with another seed, or use the potential alone."
            )
        first = self.potentials[0]
        for index, other in enumerate(self.potentials[1:], start=2):
            if other.elements != first.elements:
                raise ValueError(
                    f"The members of an ensemble must know the same elements: the first knows "
                    f"{format_elements(first.elements)}, number {index} "
                    f"{format_elements(other.elements)}."
                )
            if other.dtype != first.dtype or _device(other) != _device(first):
                raise ValueError(
                    f"The members of an ensemble must compute alike: the first in {first.dtype} on "
                    f"{_device(first)}, number {index} in {other.dtype} on {_device(other)}. Give "
                    "dtype and device when they are loaded."
                )

    def __len__(self) -> int:
        return len(self.potentials)

    def __iter__(self) -> Iterator[Potential]:
        return iter(self.potentials)

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers of the members."""
        return self.potentials[0].elements

    @property
    def dtype(self) -> torch.dtype:
        """Compute dtype of the members."""
        return self.potentials[0].dtype

    @property
    def cutoff(self) -> float:
        """Largest cutoff of the members, Å."""
        return max(potential.cutoff for potential in self.potentials)


def spread(predictions: Float64[np.ndarray, "members *shape"]) -> Float64[np.ndarray, "*shape"]:
    """Return the standard deviation over the members, with n - 1 in the denominator.

    Example:
        >>> float(spread(np.array([1.0, 2.0, 3.0])))
        1.0
    """
    return np.asarray(predictions.std(axis=0, ddof=1))


def _device(potential: Potential) -> torch.device:
    return next(potential.parameters()).device
