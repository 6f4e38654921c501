"""Every implementation of the kernels that is installed."""

import pytest

from multiace.kernels.cpu.library import KernelLibraryError
from multiace.kernels.dispatch import Kernels, select_kernels


@pytest.fixture(params=["reference", "cpu"])
def kernels(request: pytest.FixtureRequest) -> Kernels:
    try:
        return select_kernels(request.param)
    except KernelLibraryError as error:
        pytest.skip(str(error))


@pytest.fixture
def compiled() -> Kernels:
    try:
        return select_kernels("cpu")
    except KernelLibraryError as error:
        pytest.skip(str(error))
