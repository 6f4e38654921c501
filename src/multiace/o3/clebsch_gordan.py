"""Clebsch-Gordan coefficients of real irreps, from the Racah formula in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial, sqrt

import numpy as np
from jaxtyping import Complex128, Float64


@cache
def clebsch_gordan(l1: int, l2: int, l3: int) -> Float64[np.ndarray, "m1 m2 m3"]:
    """Compute the coefficients that couple real components of degrees l1 and l2 to degree l3.

        C_{m1 m2 m3} = i^J sqrt(2 l3 + 1)
                       sum_{k1 k2 k3} U*_{m1 k1} U*_{m2 k2} U*_{m3 k3} (l1 l2 l3; k1 k2 k3)

    with J = l1 + l2 + l3, (l1 l2 l3; k1 k2 k3) the Wigner 3j symbol and U the change from complex
    to real harmonics, Y^real_m = sum_k U_mk Y^complex_k. Columns are orthonormal: summed over m1
    and m2, C_{m1 m2 m3} C_{m1 m2 m3'} is 1 for m3 = m3' and 0 otherwise.

    The phase i^J makes C real and settles its sign, which is part of the model file format.
    C / sqrt(2 l3 + 1) is unchanged by every permutation of its three (l, m) pairs if J is even and
    changes sign under exchanges of two if J is odd. For even J the product of two harmonics of one
    direction is a positive multiple of the third: sum_{m1 m2} C Y_{l1 m1} Y_{l2 m2} = +k Y_{l3 m3}.
    So 1 x 1 -> 0 is the dot product over sqrt(3), and 1 x 1 -> 1 the cross product over sqrt(2).

    Args:
        l1: degree of the first factor.
        l2: degree of the second factor.
        l3: degree of the product, |l1 - l2| <= l3 <= l1 + l2.

    Returns:
        A cached, read-only array; copy it before changing it.

    Raises:
        ValueError: if a degree is negative or l3 does not occur in the product.

    Source:
        Racah, Phys. Rev. 62, 438 (1942); NIST DLMF, eq. 34.2.4.

    Example:
        >>> cross = clebsch_gordan(1, 1, 1)  # components y, z, x
        >>> round(float(cross[0, 1, 2]) * 2**0.5, 12)  # y times z gives +x
        1.0
    """
    if min(l1, l2, l3) < 0 or not abs(l1 - l2) <= l3 <= l1 + l2:
        raise ValueError(
            f"degrees {l1} and {l2} do not couple to {l3}. "
            "The rule is l1, l2 >= 0 and |l1 - l2| <= l3 <= l1 + l2."
        )
    threej = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    for k1 in range(-l1, l1 + 1):
        for k2 in range(max(-l2, -l3 - k1), min(l2, l3 - k1) + 1):
            threej[l1 + k1, l2 + k2, l3 - k1 - k2] = _wigner_3j(l1, l2, l3, k1, k2)
    to_real = [np.conj(_real_from_complex(l)) for l in (l1, l2, l3)]
    rotated = np.einsum("ai,bj,ck,ijk->abc", *to_real, threej, optimize=True)
    coefficients = np.ascontiguousarray(
        (1j ** ((l1 + l2 + l3) % 4) * rotated).real * sqrt(2 * l3 + 1)
    )
    coefficients[np.abs(coefficients) < 1e-14] = 0.0  # exact zeros; the others exceed 1e-4
    coefficients.flags.writeable = False
    return coefficients


def _wigner_3j(l1: int, l2: int, l3: int, k1: int, k2: int) -> float:
    """Evaluate (l1 l2 l3; k1 k2 -k1-k2): an exact integer sum times the root of a fraction."""
    k3 = -k1 - k2
    total = sum(
        Fraction(
            (-1) ** t,
            factorial(t)
            * factorial(l3 - l2 + k1 + t)
            * factorial(l3 - l1 - k2 + t)
            * factorial(l1 + l2 - l3 - t)
            * factorial(l1 - k1 - t)
            * factorial(l2 + k2 - t),
        )
        for t in range(max(0, l2 - l3 - k1, l1 - l3 + k2), min(l1 + l2 - l3, l1 - k1, l2 + k2) + 1)
    )
    square = Fraction(
        factorial(l1 + l2 - l3) * factorial(l1 - l2 + l3) * factorial(-l1 + l2 + l3),
        factorial(l1 + l2 + l3 + 1),
    )
    for l, k in ((l1, k1), (l2, k2), (l3, k3)):
        square *= factorial(l + k) * factorial(l - k)
    sign = (-1) ** ((l1 - l2 - k3) % 2) * (1 if total > 0 else -1)
    return sign * sqrt(square * total * total)


@cache
def _real_from_complex(l: int) -> Complex128[np.ndarray, "m k"]:
    """Give U with Y^real_m = sum_k U_mk Y^complex_k.

    The complex harmonics carry the Condon-Shortley sign, the real ones do not: for k > 0, row +k is
    proportional to cos(k phi) and row -k to sin(k phi), both with a positive factor.
    """
    change = np.zeros((2 * l + 1, 2 * l + 1), dtype=np.complex128)
    change[l, l] = 1.0
    for k in range(1, l + 1):
        change[l + k, l + k] = (-1) ** k * sqrt(0.5)
        change[l + k, l - k] = sqrt(0.5)
        change[l - k, l + k] = -1j * (-1) ** k * sqrt(0.5)
        change[l - k, l - k] = 1j * sqrt(0.5)
    return change
