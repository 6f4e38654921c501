"""Kernels bound to the arrays of plans: rows, packed matrices, many in one call."""

import pytest
import torch
from tests.kernels.comparison import DTYPES, random
from tests.kernels.compiled import needs_compiled
from tests.kernels.test_linear import ELEMENTS, MAPS, SPECIES

from multiace.kernels.dispatch import select_kernels
from multiace.kernels.tables import LinearTable
from multiace.o3.irreps import Irreps
from multiace.plan.arrays import Array, Sizes
from multiace.plan.topology import EdgeIndices, Topology

pytestmark = needs_compiled


def topology(senders=(1, 0, 1), species=SPECIES) -> Topology:
    senders = torch.tensor(senders)
    return Topology(EdgeIndices.of(senders, 1 - senders, None), species, len(species))


def filled(rows: str, *shape: int, dtype, **options) -> Array:
    array = Array(rows, shape, dtype, **options)
    array.resize(Sizes(*[3] * 4))
    array.value.copy_(random(*array.value.shape, dtype=dtype))
    if array.differentiable:
        array.gradient.copy_(random(*array.gradient.shape, dtype=dtype))
    return array


def steps():
    return select_kernels("cpu").steps


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_rows_are_carried_and_their_gradients_back(dtype, add, shared):
    x, y = filled("owned", 5, dtype=dtype, shared=shared), filled("owned", 5, dtype=dtype)
    step = steps().CarryRows(x, y, lambda top: 2, add=add)
    step.bind(topology(), True)
    expected, gradient = y.value.clone(), x.gradient.clone()
    expected[:2] = x.value[:2] + (expected[:2] if add else 0)
    gradient[:2] = y.gradient[:2] + (gradient[:2] if shared else 0)
    step.forward()
    step.backward()
    assert torch.equal(y.value, expected)
    assert torch.equal(x.gradient, gradient)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", [None, torch.tensor([2, 0, 2])], ids=["all", "some"])
def test_rows_are_taken_and_their_gradients_given_back(dtype, index):
    x, y = filled("edges", dtype=dtype, shared=True), filled("pairs", dtype=dtype)
    step = steps().TakeRows(x, y, lambda top: index)
    step.bind(topology(), True)
    places = torch.arange(3) if index is None else index
    expected = x.gradient.index_add(0, places, y.gradient)
    step.forward()
    step.backward()
    assert torch.equal(y.value, x.value[places])
    torch.testing.assert_close(x.gradient, expected)


def test_a_row_that_is_not_there_is_refused_by_the_name_of_its_kernel():
    x, y = (filled(rows, dtype=torch.float64, shared=True) for rows in ("edges", "pairs"))
    good = steps().TakeRows(x, y, lambda top: None)
    bad = steps().TakeRows(x, y, lambda top: torch.tensor([0, 3, 0]))
    joined = steps().JoinedSteps([good, bad])
    joined.bind(topology(), True)
    with pytest.raises(IndexError, match="rows_take was given an index"):
        joined.forward()
    with pytest.raises(IndexError, match="rows_give was given an index"):
        joined.backward()


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_cleared(dtype):
    arrays = [filled("owned", 4, dtype=dtype), filled("edges", dtype=dtype)]
    step = steps().ClearGradients(arrays)
    step.bind(topology(), True)
    step.forward()
    step.backward()
    assert not any(array.gradient.any() for array in arrays)


def test_joined_steps_run_there_in_order_and_back_in_reverse():
    a, b, c = (filled("owned", 2, dtype=torch.float32) for _ in range(3))
    carry = steps().CarryRows
    joined = steps().JoinedSteps(
        [carry(a, b, lambda top: 3, add=False), carry(b, c, lambda top: 3, add=True)]
    )
    joined.bind(topology(), True)
    expected = c.value + a.value
    joined.forward()
    joined.backward()
    assert torch.equal(c.value, expected)
    assert torch.equal(a.gradient, c.gradient)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("per_element", [False, True], ids=["shared", "per element"])
def test_maps_with_packed_matrices_are_those_of_the_definition(dtype, name, per_element):
    irreps_in, irreps_out = (Irreps.parse(text) for text in MAPS[name])
    copies = (ELEMENTS,) if per_element else ()
    width = {irrep: channels for channels, irrep in irreps_in.entries}
    matrices = {
        str(irrep): random(*copies, width[irrep], channels, dtype=dtype)
        for channels, irrep in irreps_out.entries
        if irrep in width
    }
    x, y = (filled("owned", irreps.dim, dtype=dtype) for irreps in (irreps_in, irreps_out))
    step = steps().MapRows(
        irreps_in, irreps_out, matrices, per_element, x, y, lambda top: 3, add=False
    )
    step.bind(topology(), True)
    variable = x.value.clone().requires_grad_()
    definition = select_kernels("reference").linear(LinearTable(irreps_in, irreps_out))
    expected = definition(variable, matrices, SPECIES if per_element else None)
    (gradient,) = torch.autograd.grad(
        expected, variable, y.gradient, materialize_grads=True, allow_unused=True
    )
    step.forward()
    step.backward()
    tolerance = {torch.float32: 2e-5, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(y.value, expected.detach(), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(x.gradient, gradient, rtol=tolerance, atol=tolerance)
