"""Operations tell torch the truth about themselves, and refuse devices that they do not know."""

import pytest
import torch
from tests.kernels.compiled import needs_compiled
from tests.kernels.recording import recorded_calls, with_tensors

from multiace.kernels.operation import Namespace

pytestmark = needs_compiled
OPERATIONS = [
    f"multiace_cpu::{name}{suffix}"
    for name in (
        "convolution",
        "edge_basis",
        "gate",
        "linear",
        "neighbour_density",
        "polynomial_product",
        "radial_basis",
        "radial_network",
    )
    for suffix in ("", "_backward", "_double_backward")
] + ["multiace_cpu::flat_weights", "multiace_cpu::flat_weights_backward"]


def test_these_are_the_operations_that_models_call():
    assert sorted(recorded_calls()) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_schema_and_fake_version_describe_the_operation(name):
    operation, arguments = recorded_calls()[name]
    torch.library.opcheck(operation, arguments, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("name", OPERATIONS)
def test_fake_results_are_laid_out_as_real_ones_for_any_layout_of_inputs(name):
    operation, arguments = recorded_calls()[name]
    scattered = with_tensors(
        lambda a: a.mT.contiguous().mT if a.is_floating_point() and a.ndim > 1 else a, arguments
    )
    torch.library.opcheck(operation, scattered, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "backward" not in name])
def test_operations_are_differentiable_in_traced_programs(name):
    operation, arguments = recorded_calls()[name]
    differentiable = with_tensors(
        lambda a: a.clone().requires_grad_() if a.is_floating_point() else a, arguments
    )
    utilities = ("test_autograd_registration", "test_aot_dispatch_dynamic")
    torch.library.opcheck(operation, differentiable, test_utils=utilities)


@pytest.mark.parametrize("name", OPERATIONS)
def test_tensors_of_a_gpu_are_refused_in_words(name):
    assert torch._C._dispatch_has_kernel_for_dispatch_key(name, "CUDA")
    namespace = Namespace(f"refusing_{name.partition('::')[2]}", "cpu")
    with pytest.raises(ValueError, match="compute on cpu, got tensors on meta.*Load or build"):
        namespace._refuse([torch.empty(2, device="meta")], 3, torch.empty(2))
