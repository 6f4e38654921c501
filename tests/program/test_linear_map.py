"""Linear maps that follow one another, as one."""

import pytest
import torch

from multiace.kernels.dispatch import REFERENCE
from multiace.o3.irreps import Irreps
from multiace.program.linear_map import LinearMap

FIRST, MIDDLE, LAST = map(Irreps.parse, ("5x0e+3x1o+2x2e", "4x0e+6x1o", "2x1o+3x0e+1x2e"))
ELEMENTS = 3


def _map(irreps_in, irreps_out, per_element, rng):
    copies = (ELEMENTS,) if per_element else ()
    width = {irrep: channels for channels, irrep in irreps_in.entries}
    matrices = {
        str(irrep): torch.from_numpy(rng.normal(size=(*copies, width[irrep], channels)))
        for channels, irrep in irreps_out.entries
        if irrep in width
    }
    return LinearMap(irreps_in, irreps_out, matrices, per_element)


def _apply(of: LinearMap, x, species):
    kernel = REFERENCE.linear(of.table)
    return kernel(x, of.matrices, species if of.per_element else None)


@pytest.mark.parametrize("first", [False, True], ids=["shared", "per element"])
@pytest.mark.parametrize("second", [False, True], ids=["shared", "per element"])
def test_one_map_does_what_two_do(first, second, rng):
    one, two = _map(FIRST, MIDDLE, first, rng), _map(MIDDLE, LAST, second, rng)
    species = torch.tensor([2, 0, 1, 2])
    x = torch.from_numpy(rng.normal(size=(len(species), FIRST.dim)))
    both = one.then(two)
    assert both.per_element == (first or second)
    expected = _apply(two, _apply(one, x, species), species)
    torch.testing.assert_close(_apply(both, x, species), expected)


def test_maps_whose_product_is_much_larger_stay_apart(rng):
    wide, narrow = Irreps.parse("20x0e"), Irreps.parse("1x0e")
    one, two = _map(wide, narrow, False, rng), _map(narrow, wide, False, rng)
    assert one.followed_by(two) == [one, two]
    (folded,) = two.followed_by(one)
    assert folded.matrices["0e"].shape == (1, 1)
