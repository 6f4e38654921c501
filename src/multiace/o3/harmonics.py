"""Real spherical harmonics of unit vectors, as exact polynomials."""

from __future__ import annotations

from math import factorial, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

L_MAX = 6


def spherical_harmonics(
    l_max: int, directions: Float[Tensor, "edges 3"]
) -> Float[Tensor, "edges lm"]:
    """Evaluate the real spherical harmonics of degrees 0 to l_max.

        Y_{l,+m} = Q_{l,m} Re (x + iy)^m,   Y_{l,-m} = Q_{l,m} Im (x + iy)^m,   m >= 0
        Q_{l,m} = a_{l,m} z Q_{l-1,m} - b_{l,m} r^2 Q_{l-2,m}

    so Y_0 = 1, Y_1 = sqrt(3) (y, z, x). The numbers a, b and Q_{m,m} are those for which
    sum_m Y_lm^2 = 2l + 1. Each Y_lm is a homogeneous polynomial of x, y and z: derivatives of every
    order exist everywhere, at the poles too. Their coefficients are Python numbers, so there is no
    constant tensor to convert, to move to a device or to hide from a tracer. About 3 (l_max + 1)^2
    operations with one number an edge.

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
        Bigi, Fraux, Browning and Ceriotti, J. Chem. Phys. 159, 064802 (2023), in the normalisation,
        order and signs of `multiace.o3`.

    Example:
        >>> spherical_harmonics(1, torch.tensor([[0.0, 0.0, 1.0]]))
        tensor([[1.0000, 0.0000, 1.7321, 0.0000]])
    """
    if not 0 <= l_max <= L_MAX:
        raise ValueError(
            f"l_max must be between 0 and {L_MAX}, got {l_max}. "
            "Choose one of these, or l_max = 3, which is enough for most potentials."
        )
    x, y, z = directions.unbind(1)  # (edges)
    square = x * x + y * y + z * z
    columns = {}
    cosine, sine = torch.ones_like(x), torch.zeros_like(x)  # Re and Im of (x + iy)^m
    for m in range(l_max + 1):
        if m > 0:
            cosine, sine = (x, y) if m == 1 else (x * cosine - y * sine, x * sine + y * cosine)
        for l, polar in enumerate(_polar_factors(m, l_max, z, square), start=m):
            columns[l, m] = polar * cosine
            if m > 0:
                columns[l, -m] = polar * sine
    in_order = [columns[l, m] for l in range(l_max + 1) for m in range(-l, l + 1)]
    return torch.stack(in_order, dim=1)


def _polar_factors(
    m: int, l_max: int, z: Float[Tensor, " edges"], square: Float[Tensor, " edges"]
) -> list[float | Tensor]:
    """Give Q_{l,m} for l = m..l_max, the first a number."""
    cosine_and_sine = 1 if m == 0 else 2  # the weight of a degree is shared by +m and -m
    double_factorial = factorial(2 * m) / (2**m * factorial(m))  # (2m - 1)!!
    norm = sqrt(cosine_and_sine * (2 * m + 1) / factorial(2 * m))
    factors: list[float | Tensor] = [double_factorial * norm]
    if l_max > m:
        factors.append(sqrt(2 * m + 3) * factors[0] * z)
    for l in range(m + 2, l_max + 1):
        a = sqrt((4 * l**2 - 1) / (l**2 - m**2))
        b = a * sqrt(((l - 1) ** 2 - m**2) / (4 * (l - 1) ** 2 - 1))
        factors.append(a * factors[-1] * z - b * factors[-2] * square)
    return factors
