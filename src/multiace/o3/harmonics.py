"""Real spherical harmonics of unit vectors, by a recursion of exact polynomials."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from multiace.o3.clebsch_gordan import clebsch_gordan

L_MAX = 6


def spherical_harmonics(
    l_max: int, directions: Float[Tensor, "edges 3"]
) -> Float[Tensor, "edges lm"]:
    """Evaluate the real spherical harmonics of degrees 0 to l_max.

        Y_0 = 1,   Y_1 = sqrt(3) (y, z, x),
        Y_{l+1, m} = k_l sum_{m1 m2} C_{m1 m2 m} Y_{l m1} Y_{1 m2}

    with C the Clebsch-Gordan coefficients of l x 1 -> l + 1 and k_l > 0 the number that makes
    sum_m Y_{lm}^2 = 2l + 1. Each Y_lm is a homogeneous polynomial of x, y and z, so derivatives of
    every order exist everywhere, at the poles too. One outer product and one matrix product a
    degree.

    Args:
        l_max: largest degree, 0 to 6.
        directions: unit vectors (x, y, z). They are not normalised here: a vector of length s gives
            s^l Y_lm.

    Returns:
        (l_max + 1)^2 columns, degree after degree, m = -l..l, in the dtype and on the device of
        `directions`.

    Raises:
        ValueError: if l_max is not between 0 and 6.

    Source:
        Component normalisation as in Geiger and Smidt, arXiv:2207.09453; component order and signs
        in `multiace.o3`.

    Example:
        >>> spherical_harmonics(1, torch.tensor([[0.0, 0.0, 1.0]]))
        tensor([[1.0000, 0.0000, 1.7321, 0.0000]])
    """
    if not 0 <= l_max <= L_MAX:
        raise ValueError(
            f"l_max must be between 0 and {L_MAX}, got {l_max}. "
            "Choose one of these, or l_max = 3, which is enough for most potentials."
        )
    degree = torch.ones_like(directions[:, :1])
    degrees = [degree]
    for step in _steps(l_max, directions.dtype, directions.device):
        products = (degree.unsqueeze(2) * directions.unsqueeze(1)).flatten(1)  # (edges, 3 (2l-1))
        degree = products @ step  # (edges, 2l+1)
        degrees.append(degree)
    return torch.cat(degrees, dim=1)


@torch.compiler.assume_constant_result
def _steps(l_max: int, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Give the matrices of the recursion up to l_max; a compiler takes them as constants."""
    return [_step(l, dtype, device) for l in range(1, l_max + 1)]


@cache
def _step(l: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "product m"]:
    """Give the matrix that takes Y_{l-1, m1} times (x, y, z), flattened, to Y_{l, m}."""
    coefficients = clebsch_gordan(l - 1, 1, l)[:, [2, 0, 1], :]  # from y, z, x to x, y, z
    # At the pole every Y_lm is zero but Y_l0 = sqrt(2l + 1): there the recursion has one term.
    scale = np.sqrt((2 * l + 1) / (2 * l - 1)) / coefficients[l - 1, 2, l]
    matrix = scale * coefficients.reshape(-1, 2 * l + 1)
    with torch.inference_mode(False):  # the matrix is kept, and training may be the next to use it
        return torch.tensor(matrix, dtype=dtype, device=device)
