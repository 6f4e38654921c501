"""Body orders, locality and completeness of surfaces whose answers are known."""

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones
from tests.laws.potentials import enlarged
from tests.probes.conftest import harmonic

from multiace import probes
from multiace.analysis.gradients import hessian, hessians
from multiace.design import Design, Statistics
from multiace.figures import Position
from multiace.geometry import Structure
from multiace.potential import Potential
from multiace.presets import mace
from multiace.probes import paths
from multiace.probes.body_order import nearest_atoms
from multiace.probes.completeness import (
    complete_dimension,
    independent_functions,
    numerical_rank,
    one_layer,
    product_ranks,
    random_clusters,
)

ETHANOL = Structure.from_ase(molecule("CH3CH2OH"))


def polynomial(layers: int = 1, correlation: int = 2, **fields) -> Potential:
    """Return a potential with linear updates and readouts and large weights."""
    design = Design(
        layers=layers,
        channels=4,
        l_max=2,
        features_l_max=0,
        cutoff=3.0,
        product_basis={"correlation": correlation},
        **fields,
    )
    energies = {"H": -13.0, "C": -1029.0, "O": -2041.0}
    statistics = Statistics(mean_neighbours=2.0, atomic_energies=energies)
    return enlarged(Potential(design, (1, 6, 8), statistics, dtype=torch.float64, seed=2), 2.0)


def test_a_pair_potential_has_body_order_two():
    found = probes.body_order(harmonic(), ETHANOL, atoms=6)
    assert found["total_order"] == 2
    assert found["decay"] < 1e-9
    orders = [row[1] for row in found.table("body_orders").rows]
    assert orders[0] == 0.0
    assert orders[1] > 0.1


@pytest.mark.parametrize(("correlation", "order"), [(1, 2), (2, 3), (3, 4)])
def test_one_layer_has_the_body_order_that_its_design_claims(correlation, order):
    found = probes.body_order(polynomial(correlation=correlation), ETHANOL, atoms=5)
    assert found["E1_order"] == found["E1_claimed"] == found["total_order"] == order


def test_a_cluster_is_an_atom_and_its_nearest_neighbours_images_included():
    copper = Structure.from_ase(bulk("Cu"))
    cluster = nearest_atoms(copper, 13)
    assert cluster.n_atoms == 13
    assert not any(cluster.pbc)
    lengths = np.linalg.norm(cluster.positions[1:], axis=1)
    np.testing.assert_allclose(lengths, 3.61 / np.sqrt(2.0))
    assert nearest_atoms(ETHANOL, 2, centre=2).numbers.tolist() == [8, 1]
    with pytest.raises(ValueError, match="there are 9 with itself"):
        nearest_atoms(ETHANOL, 10)
    with pytest.raises(ValueError, match="at least 2 atoms"):
        nearest_atoms(ETHANOL, 1)


def test_terms_along_a_path_sum_to_the_energy(potentials):
    path = paths.dimer(1, 8, [0.8, 1.0, 1.2])
    found = probes.contributions(potentials[0], path)
    total, *terms = found.panels["contributions"].marks
    np.testing.assert_allclose(sum(term.y for term in terms), total.y)
    energy = probes.scan(potentials[0], path).panels["energy"]
    energies = energy.marks[-1].y
    np.testing.assert_allclose(energies - energies[0], total.y, atol=1e-9)
    of_path = [sum(row[1:]) for row in found.table("terms").rows]
    np.testing.assert_allclose(of_path, energies - energy.zero, atol=1e-9)
    with pytest.raises(ValueError, match="looks inside a model"):
        probes.contributions(harmonic(), path)


def chain(spacing: float, n: int = 8) -> Structure:
    k = np.arange(n)
    positions = np.stack([spacing * k, 0.3 * (k % 2), 0.2 * (k % 3)], axis=1)
    return Structure(np.resize([6, 8, 1], n), positions)


@pytest.mark.parametrize("layers", [1, 2])
def test_energies_of_atoms_feel_nothing_beyond_layers_times_the_cutoff(layers):
    found = probes.locality(polynomial(layers=layers), chain(1.4))
    shells = {row[0]: row for row in found.table("shells").rows}
    for k in range(1, 5):
        response = shells[f"{k - 1} to {k}"]
        assert (response[4] > 0.0) == (k <= layers)
        assert k <= 2 * layers or response[2] < 1e-12
    assert found["energy_beyond_field"] == 0.0
    assert found["receptive_field"] == 3.0 * layers
    assert 0.0 < found["beyond_cutoff"] < 1.0


def test_forces_of_each_layer_respond_within_twice_its_number_of_cutoffs():
    found = probes.locality(polynomial(layers=2), chain(1.4))
    first, second = found.table("terms").rows
    assert (first[0], second[0]) == ("E1", "E2")
    assert 3.0 < first[2] < 6.0  # reach, at a cutoff of 3 Å
    assert first[2] < second[2] < 12.0
    assert 0.0 < first[3] < second[3]  # part beyond the cutoff
    marks = found.panels["force_response"].marks
    assert marks[:2] == (Position(3.0, "cutoff"), Position(6.0, "receptive field"))
    total, *parts = marks[2:]
    assert [part.name for part in parts] == ["E1", "E2"]
    assert parts[0].x.max() < 6.0 < parts[1].x.max() == total.x.max()


def test_responses_of_terms_add_up_to_those_of_the_energy():
    potential = polynomial(layers=2)
    whole = hessian(potential, chain(1.4))
    parts = hessians(potential, chain(1.4), [[k] for k in range(len(potential.terms))])
    np.testing.assert_allclose(parts.sum(axis=0), whole, atol=1e-12)
    assert np.abs(parts[1]).max() > 0.0


def test_forces_of_a_pair_potential_respond_within_its_cutoff_alone():
    subject = probes.CalculatorSurface(LennardJones(rc=2.0), cutoff=2.0)
    r = 1.1
    straight = Structure(np.full(4, 18), np.outer(r * np.arange(4), [0.6, 0.8, 0.0]))
    found = probes.locality(subject, straight)
    assert found["reach"] == pytest.approx(r)
    assert found["beyond_cutoff"] < 1e-12
    slope = 4.0 * (-12.0 / r**13 + 6.0 / r**7)
    curvature = 4.0 * (156.0 / r**14 - 42.0 / r**8)
    assert found["largest"] == pytest.approx(
        np.hypot(curvature, np.sqrt(2.0) * slope / r), rel=1e-4
    )


@pytest.mark.parametrize(("basis", "redundant"), [("reduced", False), ("mace", True)])
def test_products_span_what_theory_allows_and_only_mace_has_more_paths(basis, redundant):
    design = mace("small", product_basis={"correlation": 3, "basis": basis})
    rows = product_ranks(design, 3)
    assert rows
    assert all(rank == theory for *_, rank, theory in rows)
    assert (sum(paths - rank for _, _, _, paths, rank, _ in rows) > 0) == redundant


@pytest.mark.parametrize(("correlation", "apart"), [(2, ()), (3, (2,)), (4, (2, 3))])
def test_degenerate_pairs_are_told_apart_by_one_neighbour_more(correlation, apart):
    found = probes.completeness(polynomial(correlation=correlation), number=6)
    assert {n for n in (2, 3) if found[f"separated_{n}"]} == set(apart)
    assert found["missing"] == 0


def test_rank_and_dimension_of_known_cases():
    assert numerical_rank(np.outer(np.arange(3.0), np.arange(4.0))) == 1
    assert numerical_rank(np.zeros((2, 2))) == 0
    design = Design(layers=1, channels=2, l_max=1, radial={"number": 2})
    # order 1: n; order 2: pairs n <= n' of l = 0 and of l = 1
    assert complete_dimension(design, 1, 1) == 2
    assert complete_dimension(design, 1, 2) == 2 + 3 + 3


def test_independent_functions_of_a_pairwise_model_are_at_most_its_radial_functions():
    design = Design(
        layers=1,
        channels=2,
        l_max=0,
        features_l_max=0,
        cutoff=3.0,
        radial={"number": 3, "hidden": []},
    )
    statistics = Statistics(mean_neighbours=2.0, atomic_energies={"H": -13.0})
    potential = Potential(design, (1,), statistics, dtype=torch.float64, seed=0)
    found = probes.completeness(potential, environments=12)
    assert found["complete_dimension"] == 3
    assert found["one_layer_functions"] == found["independent_functions"]
    assert found["independent_functions"] <= 4  # and the constant of the element
    assert found["independent_functions"] >= 3


def few_functions(layers: int) -> Potential:
    """Return a model of hydrogen with so few functions that clusters can count them."""
    fields = {
        "layers": layers,
        "channels": 2,
        "l_max": 1,
        "features_l_max": 1,
        "cutoff": 4.0,
        "radial": {"number": 2, "hidden": []},
        "product_basis": {"correlation": 1},
    }
    statistics = Statistics(mean_neighbours=2.0, atomic_energies={"H": -13.0})
    return Potential(Design(**fields), (1,), statistics, dtype=torch.float64, seed=0)


def test_one_layer_with_enough_channels_has_the_dimension_of_theory():
    potential = few_functions(2)
    design = one_layer(potential.design, channels=24)
    assert design is not None
    assert (design.cutoff, design.radial.number) == (8.0, 4)
    alone = Potential(design, (1,), potential.statistics, dtype=torch.float64, seed=0)
    rank = independent_functions(alone, random_clusters(potential, 60))
    assert rank == complete_dimension(design, 1, 2) + 1  # and the constant of the element


def test_two_layers_are_a_sparse_part_of_one_that_sees_as_far():
    found = probes.completeness(few_functions(2), environments=60)
    assert found["independent_functions"] < found["one_layer_functions"] < 60
    assert found["one_layer_functions"] == found["complete_dimension"] + 1


def test_without_a_body_order_there_is_no_such_layer():
    assert one_layer(mace("small"), 8) is None  # its last readout is not linear
    assert one_layer(few_functions(5).design, 8) is None  # products of five neighbours
