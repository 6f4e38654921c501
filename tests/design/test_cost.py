"""Operations and bytes against counts by hand."""

from __future__ import annotations

import pytest

from multiace.design import Design
from multiace.design.cost import cost

CHANNELS, NUMBER, HIDDEN = 5, 4, 3


def scalar_design(**fields):
    """One layer in which 0e x Y_0 -> 0e is the only path."""
    return Design(
        layers=1,
        channels=CHANNELS,
        l_max=1,
        features_l_max=0,
        radial={"number": NUMBER, "hidden": [HIDDEN]},
        **fields,
    )


@pytest.mark.parametrize("neighbours", [1.0, 20.0])
def test_operations_of_one_path_are_those_counted_by_hand(neighbours):
    radial = 2 * (NUMBER * HIDDEN + HIDDEN * CHANNELS)
    convolution = CHANNELS * (2 * 1 * 1 + 1) + 2 * 1
    maps = 3 * 2 * CHANNELS**2  # before the edges, after pooling, self-connection
    expected = neighbours * (radial + convolution) + maps
    assert cost(scalar_design(), 2, neighbours).flops_energy == expected


def test_operations_of_the_reverse_pass_are_those_counted_by_hand():
    radial = 2 * (NUMBER * HIDDEN + HIDDEN * CHANNELS)
    convolution = CHANNELS * (4 * 1 * 1 + 5 * 1) + 2 * 1
    maps = 3 * 2 * CHANNELS**2
    found = cost(scalar_design(), 2, 20.0)
    assert found.flops_forces - found.flops_energy == 20.0 * (radial + convolution) + maps


def test_operations_of_products_are_those_counted_by_hand():
    design = scalar_design(product_basis={"correlation": 2, "l_max": 0})
    with_products, without = cost(design, 2, 10.0), cost(scalar_design(), 2, 10.0)
    # monomials a, a a: one product; one coefficient each, multiplied and added
    products = CHANNELS * (1 + 2.0 * 2)
    assert with_products.flops_energy - without.flops_energy == products
    assert with_products.flops_forces - without.flops_forces == 3 * products  # twice in reverse


def test_bytes_of_one_path_are_those_counted_by_hand():
    found = cost(scalar_design(), 2, 10.0)
    edge_words = HIDDEN + 4 + 3  # last hidden features, harmonics to l = 1, vector
    assert found.bytes_fused == 4 * (10.0 * edge_words + CHANNELS + CHANNELS)
    assert found.bytes_unfused == 4 * 10.0 * (2 + 2 + 3) * CHANNELS


def test_cost_counts_only_what_is_alive():
    readout = {"kind": ["linear", "none"]}
    one = Design(layers=1)
    two = Design(layers=2, readout=readout, features_l_max=[1, 0])
    assert cost(two, 2, 10.0) == cost(one, 2, 10.0)


@pytest.mark.parametrize("field", ["flops_energy", "flops_forces", "bytes_fused", "bytes_unfused"])
def test_cost_is_linear_in_the_neighbours(field):
    values = [getattr(cost(Design(), 3, n), field) for n in (10.0, 20.0, 30.0)]
    assert values[2] - values[1] == pytest.approx(values[1] - values[0])
    assert values[2] > values[1]


def test_forces_cost_more_than_the_energy_and_less_than_four_times():
    found = cost(Design(), 3, 20.0)
    assert 1.5 < found.flops_forces / found.flops_energy < 4.0
