"""The choice of kernels is said, and never made silently."""

import logging

import pytest
import torch
from tests.kernels.compiled import needs_compiled

from multiace.kernels import dispatch
from multiace.kernels.cpu import library as loader
from multiace.kernels.dispatch import select_kernels


@pytest.fixture
def fresh():
    """Nothing chosen before the test, nor by it."""
    caches = (dispatch._automatic, dispatch._cpu, loader.library)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def no_libraries(monkeypatch, fresh):
    monkeypatch.setattr(loader, "installed_instruction_sets", dict)


def messages(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "multiace"]


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(
        ValueError, match=r"'auto' or one of \['cpu', 'reference'\], got 'cuda'.*installed"
    ):
        select_kernels("cuda")


def test_auto_says_once_what_it_chose(fresh, caplog):
    with caplog.at_level(logging.INFO, logger="multiace"):
        first, second = select_kernels("auto"), select_kernels()
    assert first is second
    choice = [message for message in messages(caplog) if "make kernels" not in message]
    assert len(choice) == 1
    assert choice[0].startswith(f"kernels: {first.label}")


def test_auto_says_why_there_are_no_compiled_kernels(no_libraries, caplog):
    assert select_kernels().name == "reference"
    assert select_kernels().name == "reference"
    (message,) = messages(caplog)
    assert message.startswith("kernels: reference (PyTorch), many times slower")
    assert "no C++17 compiler" in message
    assert caplog.records[0].levelno == logging.WARNING


def test_compiled_kernels_asked_for_by_name_are_never_replaced(no_libraries):
    with pytest.raises(loader.KernelLibraryError, match="Install a wheel, or a compiler"):
        select_kernels("cpu")


def test_auto_computes_on_a_gpu_with_the_reference(fresh, caplog):
    with caplog.at_level(logging.INFO, logger="multiace"):
        assert select_kernels("auto", torch.device("cuda", 0)).name == "reference"
    assert messages(caplog) == [
        "kernels: reference (PyTorch); the compiled ones compute on cpu, not on cuda"
    ]


@needs_compiled
def test_compiled_kernels_refuse_a_gpu():
    with pytest.raises(ValueError, match="'cpu' compute on cpu, but the device is cuda:1"):
        select_kernels("cpu", "cuda:1")


def test_a_kernel_asked_for_by_name_is_the_one_returned():
    assert select_kernels("reference").name == "reference"
    assert select_kernels("reference", "cuda").name == "reference"
