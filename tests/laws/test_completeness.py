"""Law 15: environments alike to few neighbours are separated by one neighbour more."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from tests.laws.potentials import enlarged, random_potential

from multiace.analysis.completeness import degenerate_pair, separation
from multiace.geometry import Structure
from multiace.potential import Potential
from multiace.presets import mace

SAME = 1e-12  # relative
OTHER = 1e-4


def ace(correlation: int) -> Potential:
    """Return one layer of products with a linear readout: invariants of `correlation` factors."""
    design = mace(
        "small",
        layers=1,
        channels=4,
        l_max=4,
        features_l_max=0,
        atomic_basis={"pooling": "1"},
        product_basis={"correlation": correlation},
        readout={"kind": "linear"},
    )
    return enlarged(random_potential(design), 2.0)


def tuples_of_neighbours(structure: Structure, size: int) -> list[tuple[float, ...]]:
    """List the scalar products within each set of neighbours of atom 0, in a fixed order."""
    vectors = structure.positions[1:] - structure.positions[0]
    upper = np.triu_indices(size)
    found = []
    for chosen in combinations(range(len(vectors)), size):
        orders = [vectors[list(order)] for order in permutations(chosen)]
        found.append(min(tuple(np.round((v @ v.T)[upper], 8) + 0.0) for v in orders))
    return sorted(found)


@pytest.mark.parametrize("correlation", [2, 3])
def test_pairs_are_degenerate_to_this_correlation_and_no_further(correlation: int) -> None:
    plus, minus = degenerate_pair(correlation)
    for size in range(1, correlation + 1):
        assert tuples_of_neighbours(plus, size) == tuples_of_neighbours(minus, size)
    beyond = correlation + 1
    assert tuples_of_neighbours(plus, beyond) != tuples_of_neighbours(minus, beyond)


@pytest.mark.parametrize("degeneracy", [2, 3])
@pytest.mark.parametrize("correlation", [1, 2, 3, 4])
def test_pairs_are_separated_by_one_neighbour_more(degeneracy: int, correlation: int) -> None:
    found = separation(ace(correlation), degenerate_pair(degeneracy))
    assert found < SAME if correlation <= degeneracy else found > OTHER


def test_a_pair_of_another_correlation_is_not_known() -> None:
    with pytest.raises(ValueError, match="known for correlation 2 and 3, got 4"):
        degenerate_pair(4)
