"""Structures in every kind of cell, shared by the geometry tests."""

import numpy as np
import pytest

from multiace.geometry import Structure

SKEWED = np.array([[4.0, 0.0, 0.0], [2.5, 3.1, 0.0], [-1.2, 0.7, 3.6]])
LEFT_HANDED = SKEWED[[1, 0, 2]]
SMALL = 0.45 * SKEWED
FLAT = np.array([[6.0, 0.0, 0.0], [5.5, 1.2, 0.0], [0.0, 0.0, 7.0]])
CELLS = {"skewed": SKEWED, "left_handed": LEFT_HANDED, "small": SMALL, "flat": FLAT}


@pytest.fixture(params=CELLS, ids=str)
def cell(request) -> np.ndarray:
    """Return a cell; rows are vectors."""
    return CELLS[request.param]


@pytest.fixture(params=list(np.ndindex(2, 2, 2)), ids=lambda bits: "".join("FT"[b] for b in bits))
def pbc(request) -> tuple[bool, bool, bool]:
    """Return one of the eight mixes of periodic directions."""
    return tuple(bool(bit) for bit in request.param)


@pytest.fixture
def structure(cell, pbc, rng) -> Structure:
    """Return four atoms, some outside the box."""
    positions = rng.normal(size=(4, 3)) * 2.5
    return Structure(np.array([1, 6, 8, 6]), positions, cell, pbc)
