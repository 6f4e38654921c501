"""Separate random streams, each derived from a seed and the name of its purpose.

No generator carries a state from step to step: the order of epoch 7 is a function of the seed and
of 7. A run that is resumed in the middle of an epoch therefore needs nothing but its position.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiace.geometry import batches_by


def stream(seed: int, purpose: str, *indices: int) -> np.random.Generator:
    """Return the generator of one purpose, independent of all others.

    Args:
        seed: seed of the run.
        purpose: what the numbers are for.
        indices: further coordinates, such as the epoch.

    Example:
        >>> int(stream(0, "order", 7).integers(1000)) == int(stream(0, "order", 7).integers(1000))
        True
    """
    return np.random.default_rng(np.random.SeedSequence([seed, *purpose.encode(), *indices]))


def epoch_batches(sizes: Sequence[int], limit: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the batches of one epoch: a random order, cut where a batch is full.

    Args:
        sizes: size of each structure, in structures (1), atoms or edges.
        limit: largest sum of sizes in a batch.
        seed: seed of the `order` stream.
        epoch: index of the epoch.
    """
    order = stream(seed, "order", epoch).permutation(len(sizes)).tolist()
    return batches_by(sizes, order, limit)
