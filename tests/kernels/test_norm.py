"""The nonlinearity by norms."""

import numpy as np
import pytest
import torch

from multiace.activation import Activation
from multiace.kernels.operations.norm import Norm
from multiace.kernels.tables import NormTable
from multiace.o3.irreps import Irreps
from multiace.o3.rotation import random_rotation, rotation_matrix

IRREPS = Irreps.parse("2x0e+1x0o+2x1o+3x2e")
EVEN, ODD = Activation.of("silu"), Activation.of("tanh")
TABLE = NormTable(IRREPS, EVEN, ODD)


def test_vectors_are_scaled_by_a_function_of_their_norm():
    x = torch.randn(4, IRREPS.dim, dtype=torch.float64)
    found = Norm(TABLE)(x)
    for n, row in enumerate(x):
        torch.testing.assert_close(found[n, :2], EVEN(row[:2]))
        torch.testing.assert_close(found[n, 2:3], ODD(row[2:3]))
        for block, (start, dim, channels) in {"1o": (3, 3, 2), "2e": (9, 5, 3)}.items():
            for c in range(channels):
                index = [start + m * channels + c for m in range(dim)]
                norm = (1 + (row[index] @ row[index]) / dim).sqrt()
                expected = row[index] * EVEN(norm) / norm
                torch.testing.assert_close(found[n, index], expected, msg=block)


@pytest.mark.parametrize("sign", [1, -1])
def test_norm_turns_with_its_features(sign, rng):
    transformation = sign * random_rotation(rng)
    blocks = [
        np.kron(rotation_matrix(irrep, transformation), np.eye(channels))
        for channels, irrep in IRREPS.entries
    ]
    turn = torch.block_diag(*map(torch.from_numpy, blocks))
    x, norm = torch.randn(4, IRREPS.dim, dtype=torch.float64), Norm(TABLE)
    torch.testing.assert_close(norm(x @ turn.T), norm(x) @ turn.T)


def test_norm_is_smooth_where_a_feature_vanishes():
    x = torch.zeros(1, IRREPS.dim, dtype=torch.float64, requires_grad=True)
    norm = Norm(TABLE)
    assert (norm(x) == 0).all()
    assert torch.autograd.gradcheck(norm, x)
    assert torch.autograd.gradgradcheck(norm, x)
