"""Every build of the kernels computes what the best one computes."""

import pytest
import torch
from tests.kernels.compiled import needs_compiled
from tests.kernels.recording import recorded_calls

from multiace.kernels.cpu import library as loader

pytestmark = needs_compiled


@pytest.fixture(params=loader.INSTRUCTION_SETS)
def chosen(request, monkeypatch):
    """Compute with one build within the test."""
    recorded_calls()
    if request.param not in loader.installed_instruction_sets():
        pytest.skip(f"{request.param} is not installed, or this processor cannot run it")
    monkeypatch.setenv("MULTIACE_ISA", request.param)
    loader.library.cache_clear()
    yield request.param
    loader.library.cache_clear()


def in_dtype(arguments, dtype):
    return [
        a.to(dtype) if isinstance(a, torch.Tensor) and a.is_floating_point() else a
        for a in arguments
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_all_operations_agree_with_the_best_build(chosen, dtype, monkeypatch):
    calls = recorded_calls()
    found = {name: op(*in_dtype(arguments, dtype)) for name, (op, arguments) in calls.items()}
    assert loader.library().instruction_set == chosen
    monkeypatch.delenv("MULTIACE_ISA")
    loader.library.cache_clear()
    tolerance = {torch.float32: 2e-5, torch.float64: 1e-13}[dtype]
    for name, (operation, arguments) in calls.items():
        expected = operation(*in_dtype(arguments, dtype))
        torch.testing.assert_close(
            found[name], expected, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )
