"""Core repulsion against the formula in SciPy's constants."""

import itertools
import math

import numpy as np
import pytest
import torch
from ase.data import covalent_radii
from scipy import constants

from multiace.design.spec import ZBL
from multiace.elements import SYMBOLS
from multiace.kernels.operations.repulsion import Repulsion
from multiace.repulsion import zbl_table

ELEMENTS = (1, 8, 29)
BOHR = constants.physical_constants["Bohr radius"][0] * 1e10  # Å
COULOMB = constants.e / (4 * math.pi * constants.epsilon_0) * 1e10  # eV Å
CONSTANTS = 1e-8  # tables of different years
_C, _K = (0.1818, 0.5099, 0.2802, 0.02817), (3.2, 0.9423, 0.4028, 0.2016)
PAIRS = list(itertools.product(range(3), repeat=2))


def zbl(z_j, z_i, r):
    """Return the energy of a pair, eV."""
    x = r / (0.8854 * BOHR / (z_i**0.23 + z_j**0.23))
    phi = (
        0.1818 * math.exp(-3.2 * x)
        + 0.5099 * math.exp(-0.9423 * x)
        + 0.2802 * math.exp(-0.4028 * x)
        + 0.02817 * math.exp(-0.2016 * x)
    )
    contact = covalent_radii[z_i] + covalent_radii[z_j]
    d = r / contact
    envelope = 1 - 28 * d**6 + 48 * d**7 - 21 * d**8 if d < 1 else 0.0
    return COULOMB * z_i * z_j / r * phi * envelope


def repulsion_of(elements, **constants):
    return Repulsion(zbl_table(elements, **constants))


def of_pair(j, i, distances):
    """Return the repulsion of atom i, which has one neighbour j at each distance."""
    r = torch.as_tensor(distances, dtype=torch.float64)
    n = len(r)
    return repulsion_of(ELEMENTS)(
        r,
        torch.full((n,), n),
        torch.arange(n),
        torch.tensor([i] * n + [j]),
    )[:n]


@pytest.mark.parametrize(("j", "i"), PAIRS)
def test_each_atom_has_half_of_the_energy_of_its_pairs(j, i):
    contact = covalent_radii[ELEMENTS[i]] + covalent_radii[ELEMENTS[j]]
    distances = np.array([0.05, 0.3, 0.6, 0.9, 0.999, 1.0, 1.5]) * contact
    expected = [zbl(ELEMENTS[j], ELEMENTS[i], r) / 2 for r in distances]
    np.testing.assert_allclose(of_pair(j, i, distances), expected, rtol=CONSTANTS, atol=1e-12)


def test_constants_are_those_given():
    constants = {"length": 0.4543 * 0.529, "power": 0.3, "coulomb": 14.3996, "envelope_power": 5}
    r, (z_j, z_i) = 0.4, (8, 29)
    x = r / (0.4543 * 0.529 / (z_i**0.3 + z_j**0.3))
    phi = sum(c * math.exp(-k * x) for c, k in zip(_C, _K, strict=True))
    d = r / (covalent_radii[z_i] + covalent_radii[z_j])
    envelope = 1 - 21 * d**5 + 35 * d**6 - 15 * d**7
    expected = 14.3996 * z_j * z_i / r * phi * envelope
    found = repulsion_of(ELEMENTS, **constants)(
        torch.tensor([r, r], dtype=torch.float64),
        torch.tensor([1, 0]),
        torch.tensor([0, 1]),
        torch.tensor([1, 2]),
    )
    assert found.sum().item() == pytest.approx(expected, rel=1e-12)


def test_screening_and_end_are_those_given():
    phi = {"coefficients": (0.4, 0.3, 0.2, 0.1), "exponents": (4.0, 3.0, 2.0, 1.0)}
    repulsion = repulsion_of((8, 118), **phi, ends_at=2.0)  # 118 has no covalent radius
    r = torch.tensor([0.7, 0.7, 2.0], dtype=torch.float64)
    found = repulsion(r, torch.tensor([1, 0, 1]), torch.tensor([0, 1, 2]), torch.tensor([0, 1, 1]))
    x = 0.7 / (0.8854 * BOHR / (8**0.23 + 118**0.23))
    screening = sum(0.1 * n * math.exp(-n * x) for n in range(1, 5))
    d = 0.7 / 2.0
    expected = COULOMB * 8 * 118 / 0.7 * screening * (1 - 28 * d**6 + 48 * d**7 - 21 * d**8) / 2
    assert found.tolist() == pytest.approx([expected, expected, 0.0], rel=CONSTANTS)
    assert repulsion.table.reach == 2.0


def test_usual_constants_are_the_defaults_of_a_design():
    assert zbl_table(ELEMENTS) == zbl_table(ELEMENTS, **ZBL().model_dump())


def test_energies_of_several_neighbours_add_up():
    repulsion = repulsion_of(ELEMENTS)
    r = torch.tensor([0.5, 0.7, 0.5, 0.9, 0.7, 0.9], dtype=torch.float64)
    senders, receivers = torch.tensor([1, 2, 0, 2, 0, 1]), torch.tensor([0, 0, 1, 1, 2, 2])
    species = torch.tensor([1, 0, 2])
    z = [8, 1, 29]
    expected = sum(
        zbl(z[j], z[i], d) for (j, i), d in {(0, 1): 0.5, (0, 2): 0.7, (1, 2): 0.9}.items()
    )
    assert repulsion(r, senders, receivers, species).sum().item() == pytest.approx(expected)


def test_repulsion_ends_smoothly_where_the_radii_touch():
    """C2: what is left grows with the third power of the overlap."""
    contact = covalent_radii[8] + covalent_radii[1]
    r = torch.tensor([contact - 1e-7, contact, contact + 1e-7], dtype=torch.float64)
    r.requires_grad_()
    (slope,) = torch.autograd.grad(of_pair(0, 1, r).sum(), r, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), r)
    assert slope.abs().max() < 1e-9
    assert curvature.abs().max() < 1e-3
    steps = np.array([1e-3, 5e-4])
    values = of_pair(0, 1, contact - steps).numpy()
    assert values[0] / values[1] == pytest.approx(8.0, rel=0.02)


def test_derivatives_of_the_repulsion_are_finite_differences():
    r = torch.tensor([0.4, 0.8, 1.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: of_pair(1, 2, r), r)
    assert torch.autograd.gradgradcheck(lambda r: of_pair(1, 2, r), r)


def test_covalent_radii_are_those_of_cordero_as_ase_has_them():
    elements = tuple(range(1, 97))
    np.testing.assert_allclose(zbl_table(elements).half_ends, covalent_radii[1:97])
    assert zbl_table((1, 55)).reach == pytest.approx(2 * covalent_radii[55])


def test_an_element_without_covalent_radius_is_refused():
    with pytest.raises(ValueError, match=f"none is known for {SYMBOLS[96]}. Set energy.zbl: none"):
        zbl_table((1, 97))
