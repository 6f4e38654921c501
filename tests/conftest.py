"""Settings of every test: the runtime shape checker, one thread, fixed seeds."""

import os
from pathlib import Path

from hypothesis import settings
from jaxtyping import install_import_hook

# The hook must be there before the first import of multiace. MULTIACE_TYPECHECK=0 runs without it.
if os.environ.get("MULTIACE_TYPECHECK", "1") != "0":
    install_import_hook("multiace", "beartype.beartype")

import numpy as np
import pytest
import torch

settings.register_profile("multiace", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("multiace")


ONCE = (
    *("cli", "demo", "docs", "faults", "golden", "program", "report", "study"),
    *(f"training/test_{name}.py" for name in ("fine_tuning", "loop", "resume", "run", "stores")),
    "deploy/test_trace.py",
)
"""Folders and files whose tests start processes, browsers, compilers or many whole trainings, or
compare many whole models: they take long, and what they compute is checked for shapes elsewhere."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that CI runs in one of its two passes only."""
    tests = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(tests / folder) for folder in ONCE):
            item.add_marker(pytest.mark.once)


def pytest_configure() -> None:
    """Compute with one thread: tests are small, and pytest-xdist uses the other cores."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _fixed_seeds_and_default_dtype():
    """Start each test from the same random state; fail one that moves the default dtype."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - third parties still draw from it
    before = torch.get_default_dtype()
    yield
    after = torch.get_default_dtype()
    torch.set_default_dtype(before)
    assert after == before, f"the process-wide dtype was left at {after}"


@pytest.fixture
def rng() -> np.random.Generator:
    """Return NumPy's generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture
def random_potential():
    """Return a small potential for H, C and O in float64 with random weights."""
    from multiace.design import Design, Statistics
    from multiace.potential import Potential

    design = Design(layers=2, channels=4, l_max=2, features_l_max=1, cutoff=3.0)
    energies = {"H": -13.0, "C": -1029.0, "O": -2041.0}
    statistics = Statistics(mean_neighbours=4.0, atomic_energies=energies)
    return Potential(design, (1, 6, 8), statistics, dtype=torch.float64, seed=1)
