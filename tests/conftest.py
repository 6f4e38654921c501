"""Settings of every test: the runtime shape checker, one thread, fixed seeds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from jaxtyping import config

settings.register_profile("multiace", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("multiace")


UNCHECKED = (
    *("cli", "demo", "docs", "faults", "golden", "program", "report", "study"),
    *(f"training/test_{name}.py" for name in ("fine_tuning", "loop", "memory", "resume", "run")),
    *("training/test_stores.py", "deploy/test_trace.py", "test_potential.py"),
    *(f"laws/test_{name}.py" for name in ("float32", "gradients", "size_consistency")),
    *(f"laws/test_{name}.py" for name in ("smoothness", "symmetry")),
)
"""Files whose tests start processes, browsers, compilers or whole trainings, or evaluate
potentials over and over. Their shapes are checked elsewhere: those of every field of a design in
`laws/test_strategies.py`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that run without the shape checker."""
    tests = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(tests / folder) for folder in UNCHECKED):
            item.add_marker(pytest.mark.unchecked)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Turn the shape checker on or off, before any fixture is made."""
    config.update("jaxtyping_disable", item.get_closest_marker("unchecked") is not None)


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
