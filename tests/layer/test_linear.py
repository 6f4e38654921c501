"""Equivariant linear maps: their weights, normalisation and initial variance."""

import math

import pytest
import torch
from tests.kernels import loops

from multiace.initialisation import Initialisation
from multiace.kernels.dispatch import select_kernels
from multiace.layer.linear import EquivariantLinear
from multiace.o3.irreps import Irrep, Irreps

KERNELS = select_kernels("reference")
IRREPS_IN = Irreps.parse("3x0e+2x1o+4x2e")
IRREPS_OUT = Irreps.parse("2x0e+5x1o+1x1e")
ELEMENTS = 3
SPECIES = torch.tensor([2, 0, 2, 1])
VARIANCE = 0.15  # relative; the samples below give 0.03


def build(irreps_in=IRREPS_IN, irreps_out=IRREPS_OUT, *, initial=None, **fields):
    return EquivariantLinear(
        KERNELS, irreps_in, irreps_out, initial or Initialisation(seed=0), **fields
    )


@pytest.mark.parametrize("per_element", [False, True])
@pytest.mark.parametrize("count_elements", [False, True])
@pytest.mark.parametrize("fan_in", ["forward", "initial"])
def test_map_is_the_weights_over_the_root_of_the_fan_in(per_element, count_elements, fan_in):
    n_elements = ELEMENTS if per_element else None
    linear = build(
        initial=Initialisation(seed=0, fan_in=fan_in),
        n_elements=n_elements,
        count_elements=count_elements,
    )
    copies = (ELEMENTS,) if per_element else ()
    assert {name: tuple(w.shape) for name, w in linear.weights.items()} == {
        "0e": (*copies, 3, 2),
        "1o": (*copies, 2, 5),
    }
    counted = ELEMENTS if per_element and count_elements else 1
    factors = {
        irrep: 1.0 if fan_in == "initial" else 1 / math.sqrt(channels * counted)
        for irrep, channels in (("0e", 3), ("1o", 2))
    }
    x = torch.randn(len(SPECIES), IRREPS_IN.dim, dtype=torch.float64)
    weights = {name: w.detach() * factors[name] for name, w in linear.weights.items()}
    expected = loops.linear(IRREPS_IN, IRREPS_OUT, x, weights, SPECIES if per_element else None)
    torch.testing.assert_close(linear(x, SPECIES), expected)


WIDE = Irreps.parse("64x0e+64x1o")
MAPS = {
    "shared": ({}, 1.0),
    "per_element": ({"n_elements": ELEMENTS}, 1.0),
    "per_element_counted": ({"n_elements": ELEMENTS, "count_elements": True}, 1 / ELEMENTS),
    "paths": ({"groups": {Irrep(0, 1): (60, 4), Irrep(1, -1): (1, 63)}}, 1.0),
}


@pytest.mark.parametrize("distribution", ["normal", "uniform", "orthogonal"])
@pytest.mark.parametrize("fan_in", ["forward", "initial"])
@pytest.mark.parametrize("name", MAPS)
def test_features_of_unit_variance_keep_it(distribution, fan_in, name):
    fields, variance = MAPS[name]
    initial = Initialisation(seed=0, distribution=distribution, fan_in=fan_in)
    linear = build(WIDE, WIDE, initial=initial, **fields)
    n_nodes = 400
    x = torch.randn(n_nodes, WIDE.dim, dtype=torch.float64)
    y = linear(x, torch.arange(n_nodes) % ELEMENTS).detach()
    for part in (y[:, :64], y[:, 64:]):
        tolerance = VARIANCE * (3.0 if name == "paths" else 1.0)  # few channels carry half of it
        assert part.var().item() == pytest.approx(variance, rel=tolerance)


def test_paths_however_wide_add_equal_variance():
    widths = (6, 1, 3)
    irreps = Irreps.parse("10x0e")
    linear = build(irreps, irreps, groups={Irrep(0, 1): widths})
    with torch.no_grad():
        linear.weights["0e"].fill_(1.0)
    # one column of the matrix that the map applies: y of each unit vector
    column = linear(torch.eye(10, dtype=torch.float64), torch.zeros(10, dtype=torch.int64))[:, 0]
    of_paths = [part.square().sum().item() for part in column.split(widths)]
    assert of_paths == pytest.approx([1 / 3] * 3)
    assert [part[0].item() for part in column.split(widths)] == pytest.approx(
        [1 / math.sqrt(3 * width) for width in widths]
    )


def test_without_groups_every_channel_weighs_alike():
    irreps = Irreps.parse("10x0e")
    linear = build(irreps, irreps)
    with torch.no_grad():
        linear.weights["0e"].fill_(1.0)
    y = linear(torch.eye(10, dtype=torch.float64), torch.zeros(10, dtype=torch.int64))
    torch.testing.assert_close(y.detach(), torch.full_like(y, 10**-0.5))


def test_only_the_weights_are_saved():
    linear = build(WIDE, WIDE, groups={Irrep(0, 1): (60, 4), Irrep(1, -1): (1, 63)})
    assert set(linear.state_dict()) == {"weights.0e", "weights.1o"}
