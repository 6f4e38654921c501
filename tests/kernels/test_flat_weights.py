"""Matrices in a row, each times its factor, against torch.cat."""

import pytest
import torch
from tests.kernels.comparison import DTYPES, assert_same_to_second_order, non_contiguous, random

from multiace.kernels.operations.flat_weights import flat_weights_of

FACTORS = [0.5, -3.0, 0.0]
SHAPES = {
    "one_matrix": [(4, 3)],
    "shapes_of_all_kinds": [(4, 3), (2, 3, 17), (5,)],
    "one_without_numbers": [(4, 3), (0, 3), (7, 1)],
}


def joined(*matrices):
    pairs = zip(matrices, FACTORS, strict=False)
    return torch.cat([matrix.reshape(-1) * factor for matrix, factor in pairs])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SHAPES)
def test_matrices_stand_in_a_row_times_their_factors(kernels, dtype, name):
    flat_weights = flat_weights_of(kernels)
    matrices = [random(*shape, dtype=dtype) for shape in SHAPES[name]]
    kernel = lambda *m: flat_weights(m, FACTORS[: len(m)])  # noqa: E731
    assert_same_to_second_order(kernel, joined, matrices)
    assert_same_to_second_order(kernel, joined, [non_contiguous(m) for m in matrices])


def test_a_row_of_matrices_is_linear_to_any_order(kernels):
    flat_weights = flat_weights_of(kernels)
    matrices = tuple(random(*s, dtype=torch.float64).requires_grad_() for s in [(4, 3), (2, 5)])
    kernel = lambda *m: flat_weights([x**3 for x in m], FACTORS[:2])  # noqa: E731
    assert torch.autograd.gradcheck(kernel, matrices)
    assert torch.autograd.gradgradcheck(kernel, matrices)


def test_matrices_of_two_dtypes_are_refused(compiled):
    flat_weights = flat_weights_of(compiled)
    with pytest.raises(TypeError, match="float32, torch.float64 together"):
        flat_weights([torch.ones(2), torch.ones(2).double()], [1.0, 1.0])
