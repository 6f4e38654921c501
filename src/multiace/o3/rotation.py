"""Matrices that represent rotations and reflections on the components of an irrep."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from multiace.o3.clebsch_gordan import clebsch_gordan
from multiace.o3.irreps import Irrep


def rotation_matrix(
    irrep: Irrep, transformation: Float[np.ndarray, "3 3"]
) -> Float64[np.ndarray, "m m"]:
    """Represent a rotation or reflection of space on an irrep.

        D_0 = 1,   D_1 = R in the order y, z, x,
        D_{l+1} = C^T (D_l x D_1) C

    with C the Clebsch-Gordan coefficients of l x 1 -> l + 1. An improper transformation is the
    inversion times a rotation, and the inversion multiplies by the parity. Harmonics obey
    Y_l(R r) = D_l(R) Y_l(r).

    Args:
        irrep: the representation.
        transformation: orthogonal matrix R that acts on column vectors (x, y, z), of determinant
            +1 (a rotation) or -1.

    Returns:
        An orthogonal matrix, with D(R R') = D(R) D(R').

    Raises:
        ValueError: if the matrix is not orthogonal to 1e-8.

    Source:
        The Clebsch-Gordan series, e.g. Varshalovich, Moskalev and Khersonskii, Quantum Theory of
        Angular Momentum (1988), section 4.6.

    Example:
        >>> inversion = -np.eye(3)
        >>> float(rotation_matrix(Irrep.parse("1e"), inversion)[0, 0])  # a pseudovector stays
        1.0
    """
    error = np.abs(transformation @ transformation.T - np.eye(3)).max()
    if not error < 1e-8:
        raise ValueError(
            f"the transformation must be orthogonal, but R R^T differs from 1 by {error:.1e}. "
            "Pass a rotation or reflection matrix in float64, without scale or shear."
        )
    determinant = round(float(np.linalg.det(transformation)))
    vector = (determinant * np.asarray(transformation, dtype=np.float64))[[1, 2, 0]][:, [1, 2, 0]]
    matrix = np.ones((1, 1))
    for l in range(irrep.l):
        coupling = clebsch_gordan(l, 1, l + 1)
        matrix = np.einsum("abm,ac,bd,cdn->mn", coupling, matrix, vector, coupling, optimize=True)
    return matrix if determinant == 1 else irrep.p * matrix


def random_rotation(rng: np.random.Generator) -> Float64[np.ndarray, "3 3"]:
    """Draw a rotation matrix, uniformly over all rotations.

    Args:
        rng: source of the randomness; the same state gives the same rotation.

    Returns:
        An orthogonal matrix of determinant +1.

    Source:
        Shoemake, Uniform random rotations, Graphics Gems III (1992), 124: unit quaternions.

    Example:
        >>> rotation = random_rotation(np.random.default_rng(0))
        >>> bool(np.allclose(rotation @ rotation.T, np.eye(3)))
        True
    """
    quaternion = rng.normal(size=4)
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
