"""Divide structures into a training and a validation set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiace.data.errors import DataError
from multiace.geometry import Structure

_STREAM = 0x5B117
"""Keeps the random numbers of the split apart from those of the order and the initialisation."""


def split(
    structures: Sequence[Structure], valid: int | float, seed: int
) -> tuple[list[Structure], list[Structure]]:
    """Draw a validation set at random and return (training, validation).

    The order of the structures is kept in both parts. The same seed draws the same structures,
    whatever else uses random numbers.

    Args:
        structures: all structures.
        valid: number of structures to draw, or the fraction of them when it is a float below 1.
        seed: seed of the draw.

    Raises:
        DataError: one of the two parts would be empty.
    """
    training, validation = split_indices(len(structures), valid, seed)
    return [structures[i] for i in training], [structures[i] for i in validation]


def split_indices(n_structures: int, valid: int | float, seed: int) -> tuple[list[int], list[int]]:
    """Draw a validation set as `split` does; return ascending indices.

    Raises:
        DataError: one of the two parts would be empty.
    """
    n_valid = round(n_structures * valid) if 0 < valid < 1 else int(valid)
    if n_valid != valid and not 0 < valid < 1:
        raise DataError(
            f"the validation set must be a number of structures or a fraction below 1, got {valid}",
            value=valid,
        )
    if not 1 <= n_valid < n_structures:
        part = "validation" if n_valid < 1 else "training"
        raise DataError(
            f"{valid} of {n_structures} structures for validation leaves the {part} set empty",
            value=valid,
            hint="Give a number from 1 to one less than the structures, or a fraction below 1.",
        )
    drawn = np.random.default_rng([seed, _STREAM]).permutation(n_structures)[:n_valid]
    chosen = set(drawn.tolist())
    return [index for index in range(n_structures) if index not in chosen], sorted(chosen)
