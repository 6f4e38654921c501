"""Product couplings: symmetry, independence, number, span, and the numbers of mace-torch."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from multiace.o3 import couplings
from multiace.o3.clebsch_gordan import clebsch_gordan
from multiace.o3.couplings import count_couplings, product_couplings
from multiace.o3.irreps import Irrep, Irreps
from multiace.o3.rotation import random_rotation, rotation_matrix

EXACT = 1e-12  # float64, entries of order one
EQUIVARIANCE = 1e-11  # float64, sums over thousands of products
RANK = 1e-9  # of singular values, relative to the largest

GOLDEN = Path(__file__).parents[1] / "golden" / "mace_coupling_lmax3.safetensors"
GOLDEN_COUNTS = {(0, 2): 4, (1, 2): 6, (2, 2): 7, (0, 3): 23, (1, 3): 51, (2, 3): 65}


def _irreps(text):
    return Irreps.parse(text).irreps


NATURAL = _irreps("0e+1o+2e+3o")

# Irreps of the factors, order of the product
CASES = [
    ("0e+1o+2e+3o", 1),
    ("0e+0o+1e+1o+2e+2o", 2),
    ("0e+1o+2e+3o", 3),
    ("0e+0o+1o+1e", 3),
    ("1o+0e+1o", 3),
    ("0e+1o+2e", 4),
    ("0o+1e+1o", 4),
]
OUTPUTS = _irreps("0e+0o+1e+1o+2e+2o")

every_case = pytest.mark.parametrize(("irreps_in", "order"), CASES)
every_output = pytest.mark.parametrize("irrep_out", OUTPUTS, ids=str)
every_basis = pytest.mark.parametrize("basis", ["reduced", "mace"])


def _evaluate(product, components):
    """Evaluate B_{M eta} by its definition; components (..., A)."""
    factors = components[..., product.monomials].prod(axis=-1)
    return np.einsum("mqp,...q->...mp", product.coefficients, factors)


def _dense_symmetric_tensor(product, n_components):
    """Spread each coefficient evenly over all orders of its factors, in a loop."""
    order = product.monomials.shape[1]
    n_out, _, n_paths = product.coefficients.shape
    tensor = np.zeros((n_out, *(n_components,) * order, n_paths))
    for q, monomial in enumerate(product.monomials.tolist()):
        orders = set(itertools.permutations(monomial))
        for factors in orders:
            tensor[(slice(None), *factors)] = product.coefficients[:, q] / len(orders)
    return tensor


@every_case
@every_output
@every_basis
@pytest.mark.parametrize("sign", [1, -1])
def test_products_turn_with_their_factors(irreps_in, order, irrep_out, basis, sign, rng):
    irreps = _irreps(irreps_in)
    transformation = sign * random_rotation(rng)
    components = [rng.normal(size=irrep.dim) for irrep in irreps]
    turned = [
        rotation_matrix(irrep, transformation) @ a
        for irrep, a in zip(irreps, components, strict=True)
    ]
    product = product_couplings(irreps, irrep_out, order, basis)
    before = _evaluate(product, np.concatenate(components))
    after = _evaluate(product, np.concatenate(turned))
    expected = rotation_matrix(irrep_out, transformation) @ before
    scale = max(1.0, np.abs(before).max(initial=0.0))
    np.testing.assert_allclose(after / scale, expected / scale, atol=EQUIVARIANCE)


@every_case
@every_output
def test_the_reduced_basis_is_linearly_independent_as_functions(irreps_in, order, irrep_out, rng):
    irreps = _irreps(irreps_in)
    product = product_couplings(irreps, irrep_out, order)
    points = rng.normal(size=(2 * product.n_paths + 2, sum(irrep.dim for irrep in irreps)))
    values = _evaluate(product, points)[:, 0, :]
    assert np.linalg.matrix_rank(values, rtol=RANK) == product.n_paths


@every_case
@every_output
def test_reduced_couplings_are_orthogonal_symmetric_tensors_of_norm_2l_plus_1(
    irreps_in, order, irrep_out
):
    irreps = _irreps(irreps_in)
    product = product_couplings(irreps, irrep_out, order)
    tensor = _dense_symmetric_tensor(product, sum(irrep.dim for irrep in irreps))
    every_axis_but_path = tuple(range(order + 1))
    overlaps = np.tensordot(tensor, tensor, axes=(every_axis_but_path, every_axis_but_path))
    np.testing.assert_allclose(overlaps, irrep_out.dim * np.eye(product.n_paths), atol=EXACT)


@every_case
@every_output
@every_basis
def test_couplings_are_as_many_as_counted(irreps_in, order, irrep_out, basis):
    irreps = _irreps(irreps_in)
    product = product_couplings(irreps, irrep_out, order, basis)
    assert product.n_paths == count_couplings(irreps, irrep_out, order, basis)


def _symmetric_power(power_sums, order):
    """Give the character of a symmetric power from tr g, tr g^2, ... (Newton's identities)."""
    powers = [np.ones_like(power_sums[0])]
    for n in range(1, order + 1):
        powers.append(sum(power_sums[k - 1] * powers[n - k] for k in range(1, n + 1)) / n)
    return powers[order]


@every_case
@every_output
def test_reduced_counts_are_integrals_of_characters_over_the_group(irreps_in, order, irrep_out):
    """Integrate over the angle of rotation, with the Haar weight, and over the inversion."""
    angles = 2 * np.pi * np.arange(128) / 128  # exact for these trigonometric polynomials

    def character(irrep, power, inversion):
        turns = np.cos(np.outer(np.arange(-irrep.l, irrep.l + 1), power * angles)).sum(axis=0)
        return turns * (irrep.p**power if inversion else 1)

    integral = 0.0
    for inversion in (False, True):
        power_sums = [
            sum(character(irrep, power, inversion) for irrep in _irreps(irreps_in))
            for power in range(1, order + 1)
        ]
        overlap = _symmetric_power(power_sums, order) * character(irrep_out, 1, inversion)
        integral += np.mean(overlap * (1 - np.cos(angles))) / 2
    assert abs(integral - round(integral)) < 1e-9
    assert count_couplings(_irreps(irreps_in), irrep_out, order) == round(integral)


@pytest.mark.parametrize(
    ("irreps_in", "order"),
    [("0e+1o+2e+3o", 2), ("0e+1o+2e+3o", 3), ("0e+0o+1e+1o", 3), ("0e+1o+2e", 4)],
)
@every_output
def test_the_basis_of_mace_spans_the_same_space(irreps_in, order, irrep_out):
    irreps = _irreps(irreps_in)
    reduced = product_couplings(irreps, irrep_out, order, "reduced")
    mace = product_couplings(irreps, irrep_out, order, "mace")
    if order == 4 and not irrep_out.is_natural:  # mace-torch keeps natural parities only
        assert mace.n_paths == 0
        return
    if reduced.n_paths == 0:
        assert not mace.coefficients.any()
        return
    np.testing.assert_array_equal(reduced.monomials, mace.monomials)
    both = np.concatenate([reduced.coefficients[0], mace.coefficients[0]], axis=1)
    assert np.linalg.matrix_rank(mace.coefficients[0], rtol=RANK) == reduced.n_paths
    assert np.linalg.matrix_rank(both, rtol=RANK) == reduced.n_paths


@pytest.mark.parametrize("degree", [0, 1, 2])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_paths_are_those_of_mace_torch_up_to_one_sign_each(degree, order):
    golden = load_file(GOLDEN)
    key = f"L{degree}.order{order}"
    indices, values = golden[f"{key}.indices"].astype(int), golden[f"{key}.values"]
    if degree == 0:  # scalars have no axis M
        indices = np.column_stack([np.zeros(len(indices), int), indices])
    n_paths = int(golden[f"{key}.shape"][-1])
    theirs = np.zeros((2 * degree + 1, *(16,) * order, n_paths))
    for (m, *factors, path), value in zip(indices, values, strict=True):
        theirs[(m, *sorted(factors), path)] += value
    product = product_couplings(NATURAL, Irrep.natural(degree), order, "mace")
    ours = np.zeros_like(theirs)
    for q, monomial in enumerate(product.monomials):
        ours[(slice(None), *monomial)] = product.coefficients[:, q]
    assert n_paths == GOLDEN_COUNTS.get((degree, order), 1)
    every_axis_but_path = tuple(range(order + 1))
    same = np.abs(ours - theirs).max(axis=every_axis_but_path)
    opposite = np.abs(ours + theirs).max(axis=every_axis_but_path)
    assert np.minimum(same, opposite).max() < EXACT


def test_the_first_reduced_coupling_of_a_multiset_is_its_chain(rng):
    """Check one coupling of three different factors by contracting the chain here."""
    irreps = _irreps("0e+1o+2e")
    components = rng.normal(size=9)
    product = product_couplings(irreps, Irrep.parse("1o"), 3)
    scalar, vector, tensor = components[:1], components[1:4], components[4:]
    chain = np.einsum("abc,a,b", clebsch_gordan(0, 1, 1), scalar, vector)
    chain = np.einsum("abc,a,b", clebsch_gordan(1, 2, 1), chain, tensor)
    # 3! orders of the factors each carry 1/3! of the tensor: its squared norm is (2L + 1) / 3!.
    chain *= np.sqrt(6)
    distance = np.abs(_evaluate(product, components) - chain[:, None]).max(axis=0)
    assert distance.min() < EXACT


# Part of the file format: B_{0 eta} for A_k = cos k, k = 0, 1, ...
FROZEN = {
    ("0e+1o+2e", "0e", 3): [1.0, 1.44518991462, 1.564050154393, 0.317472003113, -0.091498147106],
    ("0e+1o+2e", "1o", 3): [
        0.93583104521,
        0.413429437124,
        0.604835631982,
        -0.30973495237,
        -1.293476269064,
    ],
    ("0e+0o+1e+1o", "1e", 2): [-0.588520500184, 0.216747083992],
}


@pytest.mark.parametrize(("irreps_in", "irrep_out", "order"), FROZEN)
def test_order_and_signs_of_the_reduced_basis_stay(irreps_in, irrep_out, order):
    irreps = _irreps(irreps_in)
    product = product_couplings(irreps, Irrep.parse(irrep_out), order)
    components = np.cos(np.arange(sum(irrep.dim for irrep in irreps)))
    values = _evaluate(product, components)[0]
    np.testing.assert_allclose(values, FROZEN[irreps_in, irrep_out, order], atol=1e-10)


@pytest.mark.parametrize("threshold", [1e-10, 1e-2])
def test_the_threshold_of_independence_lies_in_a_wide_gap(threshold, monkeypatch):
    expected = product_couplings(NATURAL, Irrep.natural(1), 3)
    monkeypatch.setattr(couplings, "INDEPENDENCE_THRESHOLD", threshold)
    couplings._product_couplings.cache_clear()
    product = product_couplings(NATURAL, Irrep.natural(1), 3)
    assert product is not expected
    np.testing.assert_array_equal(product.coefficients, expected.coefficients)


@every_basis
def test_monomials_are_sorted_unique_and_all_used(basis):
    product = product_couplings(_irreps("0e+0o+1e+1o+2e"), Irrep.parse("1o"), 3, basis)
    rows = product.monomials.tolist()
    assert rows == sorted(map(sorted, rows))
    assert len(rows) == len(set(map(tuple, rows)))
    assert product.coefficients.any(axis=(0, 2)).all()


def test_equal_irreps_in_two_places_are_different_factors():
    """Two vectors a, b have three scalar products: a.a, a.b and b.b."""
    twice = _irreps("1o+1o")
    assert count_couplings(twice, Irrep.parse("0e"), 2) == 3
    assert count_couplings(twice, Irrep.parse("1e"), 2) == 1  # a x b
    a, b = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 2.0])
    values = _evaluate(product_couplings(twice, Irrep.parse("0e"), 2), np.concatenate([a, b]))
    np.testing.assert_allclose(values[0], [a @ a, np.sqrt(2) * a @ b, b @ b] / np.sqrt(3))


@every_basis
def test_factors_that_do_not_couple_give_an_empty_table(basis):
    product = product_couplings(_irreps("1o"), Irrep.parse("0o"), 2, basis)
    assert product.n_paths == 0
    assert product.monomials.shape == (0, 2)
    assert product.coefficients.shape == (1, 0, 0)
    assert count_couplings(_irreps("1o"), Irrep.parse("0o"), 2, basis) == 0


def test_tables_are_built_once_and_cannot_be_changed():
    product = product_couplings(list(NATURAL), Irrep.natural(0), 2)
    assert product_couplings(NATURAL, Irrep.natural(0), 2) is product
    for array in (product.monomials, product.coefficients):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize("build", [product_couplings, count_couplings])
@pytest.mark.parametrize(
    ("irreps_in", "order", "message"),
    [
        (NATURAL, 0, "order of a product must be between 1 and 4, got 0"),
        (NATURAL, 5, "order of a product must be between 1 and 4, got 5"),
        ((), 2, "irreps_in is empty"),
    ],
)
def test_a_wrong_request_is_refused_with_the_rule(build, irreps_in, order, message):
    with pytest.raises(ValueError, match=message):
        build(irreps_in, Irrep.natural(0), order)


def test_an_unknown_basis_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'full' is not a basis of couplings. Use 'reduced'"):
        couplings._check(NATURAL, 2, "full")
