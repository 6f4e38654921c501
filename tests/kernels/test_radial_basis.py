"""Radial bases and envelopes against loops over distances and functions."""

from functools import partial

import pytest
import torch
from tests.kernels import loops
from tests.kernels.comparison import (
    DTYPES,
    assert_same_to_order,
    assert_same_to_second_order,
    non_contiguous,
)

from multiace.envelope import Envelope
from multiace.kernels.dispatch import select_kernels
from multiace.kernels.tables import RadialBasisTable

CUTOFF = 3.0
FAMILIES = ["bessel", "chebyshev", "gaussian", "jacobi"]
ENVELOPES = {
    "cosine": ("cosine", 0),
    "square": ("polynomial", 2),
    "sixth": ("polynomial", 6),
    "two-sided": ("two_sided", 2, 3),
    "outer": ("two_sided", 4, 0),
    "linear inside": ("two_sided", 2, 1),
}
CASES = {  # envelope on the basis, argument given
    "on_basis": (True, False),
    "beside": (False, False),
    "on_basis_of_an_argument": (True, True),
    "beside_an_argument": (False, True),
}


def build(kernels, family, envelope, case, n_rows, number=4, dtype=torch.float64, falling=False):
    on_basis, transformed = CASES[case]
    where = "basis" if on_basis else "weights"
    table = RadialBasisTable(family, number, CUTOFF, Envelope(*ENVELOPES[envelope]), where, falling)
    module = kernels.radial_basis(table)
    of_family = (family, CUTOFF, ENVELOPES[envelope], on_basis)
    loop = partial(loops.radial_basis, *of_family, falling=falling)

    def of(function):
        def outputs(distances, *rest):
            argument = rest[0] if transformed else None
            basis, beside = function(distances, argument, rest[-1])
            return basis if on_basis else torch.cat([basis.flatten(), beside])

        return outputs

    random = torch.Generator().manual_seed(0)
    distances = 0.4 + (CUTOFF - 0.5) * torch.rand(n_rows, generator=random, dtype=torch.float64)
    if n_rows > 2:
        distances[2] = 1.3 * CUTOFF if transformed or family != "chebyshev" else 0.7
    inputs = [distances]
    if transformed:
        inputs.append(0.3 + 0.6 * torch.rand(n_rows, generator=random, dtype=torch.float64))
    inputs.append(torch.arange(1, number + 1, dtype=torch.float64) * 0.5)
    return of(module), of(loop), [x.to(dtype) for x in inputs]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_basis_and_envelope_are_those_of_each_distance_alone(
    kernels, family, envelope, case, dtype
):
    kernel, loop, inputs = build(kernels, family, envelope, case, 5, dtype=dtype)
    assert_same_to_second_order(kernel, loop, inputs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ["on_basis_of_an_argument", "beside_an_argument"])
def test_jacobi_polynomials_of_an_argument_that_falls_to_zero(kernels, case, dtype):
    built = build(kernels, "jacobi", "sixth", case, 5, dtype=dtype, falling=True)
    assert_same_to_second_order(*built)


@pytest.mark.parametrize("inner", [0, 2])
def test_a_two_sided_envelope_is_exactly_zero_from_the_cutoff_on(kernels, inner):
    """Also where rounding leaves the argument a little below the cutoff."""
    envelope = Envelope("two_sided", 2, inner)
    module = kernels.radial_basis(RadialBasisTable("jacobi", 3, CUTOFF, envelope, "basis"))
    for dtype in DTYPES:
        r = torch.tensor([CUTOFF, 1.1 * CUTOFF], dtype=dtype).requires_grad_()
        argument = torch.tensor([CUTOFF * (1 - 1e-6), CUTOFF], dtype=dtype).requires_grad_()
        found, _ = module(r, argument, torch.ones(3, dtype=dtype))
        assert not found.any()
        options = {"materialize_grads": True}
        assert not any(g.any() for g in torch.autograd.grad(found.sum(), (r, argument), **options))


@pytest.mark.parametrize("n_rows", [1, 16, 19, 67])
@pytest.mark.parametrize("number", [1, 8, 19])
def test_any_number_of_distances_and_functions(kernels, n_rows, number):
    for dtype in DTYPES:
        case = build(kernels, "bessel", "sixth", "on_basis", n_rows, number, dtype)
        assert_same_to_second_order(*case)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("envelope", ["sixth", "two-sided"])
@pytest.mark.parametrize("family", FAMILIES)
def test_third_derivatives_are_those_of_the_definition(compiled, family, envelope, case):
    reference = select_kernels("reference")
    kernel, _, inputs = build(compiled, family, envelope, case, 5)
    definition, _, _ = build(reference, family, envelope, case, 5)
    assert_same_to_order(3, kernel, definition, inputs)


@pytest.mark.parametrize("case", CASES)
def test_inputs_that_are_not_contiguous(kernels, case):
    kernel, loop, inputs = build(kernels, "bessel", "sixth", case, 5)
    assert_same_to_second_order(kernel, loop, [non_contiguous(x) for x in inputs])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("envelope", ["sixth", "two-sided"])
@pytest.mark.parametrize("family", FAMILIES)
def test_derivatives_are_finite_differences(kernels, family, envelope, case):
    kernel, _, inputs = build(kernels, family, envelope, case, 5)
    variables = tuple(x.requires_grad_() for x in inputs)
    assert torch.autograd.gradcheck(kernel, variables, fast_mode=True)
    assert torch.autograd.gradgradcheck(kernel, variables, fast_mode=True)


@pytest.mark.parametrize("case", CASES)
def test_no_distance_gives_nothing(kernels, case):
    kernel, _, inputs = build(kernels, "bessel", "sixth", case, 0)
    x = [tensor.requires_grad_() for tensor in inputs]
    assert kernel(*x).numel() == 0
    (gradient,) = torch.autograd.grad(kernel(*x).sum(), x[-1:])
    assert not gradient.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_high_frequencies_keep_their_precision(kernels, dtype):
    """Sine and cosine of up to 200, to the rounding of their argument."""
    module = kernels.radial_basis(RadialBasisTable("bessel", 64, CUTOFF, Envelope(), "weights"))
    r = torch.linspace(0.1, CUTOFF, 97, dtype=dtype).requires_grad_()
    k = torch.pi * torch.arange(1, 65, dtype=dtype)
    found = module(r, None, k)[0]
    (slope,) = torch.autograd.grad(found.sum(), r)
    x, q = r.detach().double(), k.double()
    x = x.requires_grad_()
    expected = (2 / CUTOFF) ** 0.5 * torch.sin(q * x[:, None] / CUTOFF) / x[:, None]
    (expected_slope,) = torch.autograd.grad(expected.sum(), x)
    eps = torch.finfo(dtype).eps
    assert (found - expected).abs().max() < 200 * eps * expected.abs().max()
    assert (slope - expected_slope).abs().max() < 200 * eps * 64 * 64 * torch.pi / CUTOFF


def test_numbers_of_two_dtypes_are_refused(compiled):
    module = compiled.radial_basis(RadialBasisTable("bessel", 2, CUTOFF, Envelope(), "basis"))
    with pytest.raises(TypeError, match="float32, torch.float64 together"):
        module(torch.ones(3), None, torch.ones(2).double())
