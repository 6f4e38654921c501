"""The weighted sum of the product basis."""

import pytest
import torch
from tests.kernels import loops

from multiace.initialisation import Initialisation
from multiace.kernels.dispatch import select_kernels
from multiace.layer.message import Message
from multiace.layer.product_basis import ProductBasis
from multiace.o3.irreps import Irrep, Irreps

SPECIES = torch.tensor([1, 0, 1])
ELEMENTS = 2
E0, O1 = Irrep(0, 1), Irrep(1, -1)


def product_basis(basis="reduced", correlation=3, channels=2):
    factors = Irreps.of(channels, [E0, O1, Irrep(2, 1)])
    return ProductBasis(factors, Irreps.of(channels, [E0, O1]), correlation, basis)


def build(basis, n_elements, **fields):
    return Message(
        select_kernels("reference"),
        product_basis(basis, **fields),
        Initialisation(seed=0),
        n_elements=n_elements,
    )


@pytest.mark.parametrize("basis", ["reduced", "mace"])
@pytest.mark.parametrize("n_elements", [None, ELEMENTS])
def test_weights_are_named_by_irrep_and_order_and_enter_in_this_order(basis, n_elements):
    message = build(basis, n_elements)
    names = [f"{irrep}_order{order}" for irrep in ("0e", "1o") for order in (1, 2, 3)]
    assert list(message.weights) == names
    a = torch.randn(3, message.product_basis.irreps_in.dim, dtype=torch.float64)
    weights = torch.cat([message.weights[name].detach() for name in names], dim=1)
    expected = loops.polynomial_product(
        message.product_basis.table, a, weights, None if n_elements is None else SPECIES
    )
    torch.testing.assert_close(message(a, SPECIES), expected)


@pytest.mark.parametrize("basis", ["reduced", "mace"])
def test_weights_start_with_a_deviation_of_one_over_the_paths(basis):
    message = build(basis, 50, channels=40, correlation=2)
    for (irrep, order), n_paths in message.product_basis.n_paths.items():
        weights = message.weights[f"{irrep}_order{order}"]
        assert weights.shape == (50, n_paths, 40)
        assert weights.std().item() * n_paths == pytest.approx(1.0, rel=0.1)


def test_orders_without_couplings_have_no_weights():
    # vectors couple to a scalar in pairs only
    vectors = ProductBasis(Irreps.of(2, [O1]), Irreps.of(2, [E0]), 3, "reduced")
    assert vectors.n_paths == {(E0, 2): 1}
    message = Message(select_kernels("reference"), vectors, Initialisation(seed=0), n_elements=None)
    assert list(message.weights) == ["0e_order2"]
    a = torch.randn(3, 6, dtype=torch.float64)
    w = message.weights["0e_order2"].detach()[0, 0]
    expected = a.view(3, 3, 2).square().sum(dim=1) / 3**0.5 * w
    torch.testing.assert_close(message(a, SPECIES), expected)


def test_product_basis_counts_its_paths_by_irrep_and_order():
    basis = product_basis("mace")
    assert set(basis.n_paths) == {(irrep, order) for irrep in (E0, O1) for order in (1, 2, 3)}
    assert sum(basis.n_paths.values()) == basis.table.n_weights
    assert basis.table.lanes == 2
