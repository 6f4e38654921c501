"""A mark for tests of the compiled kernels: skipped, with the reason, where there are none."""

import pytest

from multiace.kernels.cpu.library import KernelLibraryError, library


def _missing() -> str:
    try:
        library()
    except KernelLibraryError as error:
        return str(error)
    return ""


needs_compiled = pytest.mark.skipif(bool(_missing()), reason=_missing() or "installed")
