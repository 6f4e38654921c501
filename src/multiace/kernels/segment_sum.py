"""Sums over the edges of a node, or the nodes of a structure."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor


def segment_sum(
    values: Float[Tensor, "rows *shape"], segments: Int[Tensor, " rows"], n_segments: int
) -> Float[Tensor, "segments *shape"]:
    """Add the rows of each segment.

    Args:
        values: what to add.
        segments: segment of each row.
        n_segments: number of segments; those without rows give zero.

    Example:
        >>> import torch
        >>> segment_sum(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 0, 2]), 3)
        tensor([3., 0., 3.])
    """
    total = values.new_zeros((n_segments, *values.shape[1:]))
    return total.index_add(0, segments, values)
