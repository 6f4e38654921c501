"""E0, shift, scale and mean neighbours against explicit sums and known answers."""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multiace.data import (
    DataError,
    atomic_energies,
    compute_statistics,
    count_edges,
    is_isolated_atom,
    isolated_atom_energies,
    mean_neighbours,
)
from multiace.data.atomic_energies import dependent_elements
from multiace.elements import ElementError
from multiace.geometry import Labels, Structure

ELEMENTS = (1, 6, 8)
E0 = {"H": -13.0, "C": -1029.0, "O": -2041.0}
FORMULAS = {"H4C": [1, 1, 1, 1, 6], "H2O": [8, 1, 1], "CO2": [6, 8, 8], "H2": [1, 1]}


def cluster(numbers, rng, *, energy=None, forces=True, config_type="") -> Structure:
    """Return atoms at random places within a few Å."""
    n_atoms = len(numbers)
    labels = Labels(energy=energy, forces=rng.normal(size=(n_atoms, 3)) if forces else None)
    positions = rng.normal(size=(n_atoms, 3))
    return Structure(np.array(numbers), positions, labels=labels, config_type=config_type)


def atom(number: int, energy: float, **options) -> Structure:
    """Return an isolated atom with its vanishing force."""
    labels = Labels(energy=energy, forces=np.zeros((1, 3)))
    return Structure(np.array([number]), np.zeros((1, 3)), labels=labels, **options)


ATOMS = [atom(number, energy) for number, energy in zip(ELEMENTS, E0.values(), strict=True)]


@pytest.fixture
def molecules(rng):
    """Return molecules whose energies are sums of E0 and 0.1 eV times the number of H."""
    found = []
    for numbers in FORMULAS.values():
        base = sum(E0[{1: "H", 6: "C", 8: "O"}[number]] for number in numbers)
        found.append(cluster(numbers, rng, energy=base + 0.1 * numbers.count(1)))
    return found


def statistics(structures, elements=ELEMENTS, **options):
    """Return statistics with edges within a short cutoff."""
    return compute_statistics(structures, count_edges(structures, 4.0), elements, **options)


def test_isolated_atoms_give_e0(molecules):
    found = statistics([*ATOMS, *molecules], scale="none")
    assert found.atomic_energies == E0
    assert (found.shift, found.scale) == (0.0, 1.0)


def test_given_energies_are_taken(molecules):
    found = statistics(molecules, reference="given", given=E0 | {"N": -1.0}, scale="none")
    assert found.atomic_energies == E0


def test_least_squares_finds_energies_that_add_up(molecules):
    found = statistics(molecules, reference="least_squares", scale="none")
    expected = {"H": -12.9, "C": -1029.0, "O": -2041.0}
    assert found.atomic_energies == pytest.approx(expected, abs=1e-9)


def test_least_squares_minimises_errors_per_atom(molecules, rng):
    energies = np.array([s.labels.energy for s in molecules]) + rng.normal(size=4)
    structures = [
        cluster(molecule.numbers.tolist(), rng, energy=energy)
        for molecule, energy in zip(molecules, energies, strict=True)
    ]
    counts = np.array([[list(s.numbers).count(z) for z in ELEMENTS] for s in structures])
    weights = 1.0 / counts.sum(axis=1) ** 2
    normal = np.linalg.solve(
        counts.T @ (weights[:, None] * counts), counts.T @ (weights * energies)
    )
    found = atomic_energies(structures, ELEMENTS, "least_squares")
    np.testing.assert_allclose(found, normal, atol=1e-8)


def test_the_mean_is_the_same_for_each_element(molecules):
    total = sum(s.labels.energy for s in molecules)
    expected = total / sum(s.n_atoms for s in molecules)
    found = statistics([*ATOMS, *molecules], reference="mean", scale="none")
    assert found.atomic_energies == pytest.approx(dict.fromkeys(E0, expected))


def test_no_reference_is_zero(molecules):
    found = statistics(molecules, reference="none", scale="none")
    assert set(found.atomic_energies.values()) == {0.0}


def test_the_shift_is_the_mean_energy_per_atom_beyond_e0(molecules):
    found = statistics([*ATOMS, *molecules], shift="mean", scale="none")
    per_atom = [0.1 * list(s.numbers).count(1) / s.n_atoms for s in molecules]
    assert found.shift == pytest.approx(np.mean(per_atom), abs=1e-10)


def test_shifts_per_element_share_out_what_is_left(molecules):
    found = statistics([*ATOMS, *molecules], shift="mean", scale="none", per_element=True)
    assert found.shift == pytest.approx({"H": 0.1, "C": 0.0, "O": 0.0}, abs=1e-9)
    assert found.scale == dict.fromkeys(E0, 1.0)


@pytest.mark.parametrize("shift", ["none", "mean"])
def test_std_is_the_deviation_of_the_energy_per_atom(molecules, shift):
    found = statistics([*ATOMS, *molecules], shift=shift, scale="std")
    per_atom = [0.1 * list(s.numbers).count(1) / s.n_atoms for s in molecules]
    assert found.scale == pytest.approx(np.std(per_atom), abs=1e-10)


def test_rms_forces_leave_isolated_atoms_out(molecules):
    found = statistics([*ATOMS, *molecules], scale="rms_forces")
    components = np.concatenate([s.labels.forces.ravel() for s in molecules])
    assert found.scale == pytest.approx(np.sqrt(np.mean(components**2)))


def test_rms_forces_per_element_are_those_of_its_atoms(molecules):
    found = statistics([*ATOMS, *molecules], scale="rms_forces", per_element=True)
    numbers = np.concatenate([s.numbers for s in molecules])
    forces = np.concatenate([s.labels.forces for s in molecules])
    for symbol, number in zip(E0, ELEMENTS, strict=True):
        expected = np.sqrt(np.mean(forces[numbers == number] ** 2))
        assert found.scale[symbol] == pytest.approx(expected)


def test_structures_without_a_label_are_passed_over(molecules, rng):
    bare = cluster([1, 8], rng, forces=False)
    options = {"shift": "mean", "scale": "rms_forces"}
    one = statistics([*ATOMS, *molecules], **options)
    other = statistics([*ATOMS, *molecules, bare], **options)
    assert (one.shift, one.scale) == (other.shift, other.scale)


def test_repulsion_is_taken_out_first(molecules, rng):
    parts, sums = {}, []
    for structure in [*ATOMS, *molecules]:
        part = Labels(energy=rng.uniform(), forces=rng.normal(size=(structure.n_atoms, 3)))
        if structure.n_atoms == 1:
            part = Labels(energy=0.0, forces=np.zeros((1, 3)))
        both = Labels(
            energy=structure.labels.energy + part.energy,
            forces=structure.labels.forces + part.forces,
        )
        total = Structure(structure.numbers, structure.positions, labels=both)
        parts[id(total)] = part
        sums.append(total)
    options = {"shift": "mean", "scale": "rms_forces"}
    with_repulsion = statistics(sums, repulsion=lambda s: parts[id(s)], **options)
    without = statistics([*ATOMS, *molecules], **options)
    assert with_repulsion.shift == pytest.approx(without.shift, abs=1e-9)
    assert with_repulsion.scale == pytest.approx(without.scale)


def test_mean_neighbours_count_atoms_that_have_some():
    chain = Structure(np.array([1, 1, 1, 1]), np.array([[0.0, 0, z] for z in (0, 1, 2, 50)]))
    assert mean_neighbours(count_edges([chain, ATOMS[0]], 1.5)) == pytest.approx(4 / 3)


def test_no_neighbour_at_all_is_an_error():
    with pytest.raises(DataError, match="no atom has a neighbour within the cutoff"):
        mean_neighbours(count_edges([ATOMS[0]], 3.0))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, True),
        ({"cell": 20.0 * np.eye(3)}, True),
        ({"cell": 20.0 * np.eye(3), "pbc": (True, True, True)}, False),
        ({"cell": 20.0 * np.eye(3), "pbc": (True, False, False)}, False),
        ({"cell": np.eye(3), "pbc": (True,) * 3, "config_type": "isolated_atom"}, True),
        ({"cell": np.eye(3), "pbc": (True,) * 3, "config_type": "IsolatedAtom"}, True),
    ],
)
def test_what_counts_as_an_isolated_atom(options, expected):
    assert is_isolated_atom(atom(3, -1.0, **options)) is expected


def test_a_molecule_called_isolated_atom_is_refused(rng):
    with pytest.raises(DataError, match="config_type is isolated_atom, but there are 2 atoms"):
        is_isolated_atom(cluster([1, 1], rng, config_type="isolated_atom"))


def test_isolated_atoms_that_disagree_are_refused():
    pair = [atom(6, -1029.0, source="a.xyz:0"), atom(6, -1028.0, source="b.xyz:7")]
    with pytest.raises(DataError, match=r"two isolated C atoms.*a\.xyz:0.*-1028.0 eV in b\.xyz:7"):
        isolated_atom_energies(pair)


def test_missing_isolated_atoms_are_named(molecules):
    with pytest.raises(DataError, match="the isolated atoms hold H, C: missing O"):
        statistics([*ATOMS[:2], *molecules])


def test_missing_given_energies_are_named(molecules):
    with pytest.raises(DataError, match="the given atomic energies hold H: missing C, O"):
        statistics(molecules, reference="given", given={"H": -13.0})


@pytest.mark.parametrize(
    ("reference", "given"), [("given", None), ("mean", E0), ("isolated_atoms", E0)]
)
def test_given_energies_and_reference_go_together(molecules, reference, given):
    with pytest.raises(DataError, match="but the reference is"):
        statistics(molecules, reference=reference, given=given)


@pytest.mark.parametrize("quantity", ["reference", "shift"])
def test_one_composition_cannot_tell_elements_apart(rng, quantity):
    numbers = [1, 1, 1, 1, 6, 6, 6, 8, 8]
    structures = [cluster(numbers, rng, energy=-7000.0 + i) for i in range(5)]
    options = {"reference": "least_squares"}
    if quantity == "shift":
        options = {"reference": "none", "shift": "mean", "per_element": True}
    with pytest.raises(DataError) as error:
        statistics(structures, **options)
    text = str(error.value)
    assert "the compositions have rank 1 for 3 elements (H, C, O)" in text
    assert "n(C) = 3/4 n(H) and n(O) = 1/2 n(H) in every structure" in text
    assert "Add isolated atoms" in text


def test_an_element_that_never_occurs_is_named(rng):
    structures = [cluster(n, rng, energy=-1.0) for n in ([1, 1], [1, 1, 8, 8, 8])]
    with pytest.raises(DataError, match=r"rank 2 for 3 elements .*: n\(C\) = 0 in every structure"):
        statistics(structures, reference="least_squares")


def test_a_tie_of_three_elements_is_written_out(rng):
    structures = [cluster(n, rng, energy=-1.0) for n in ([1, 1, 1, 6, 8, 8], [1, 6])]
    with pytest.raises(DataError, match=r"n\(O\) = n\(H\) - n\(C\) in every structure"):
        statistics(structures, reference="least_squares")


def test_std_per_element_is_refused(molecules):
    with pytest.raises(DataError, match="scale 'std' cannot be per element"):
        statistics(molecules, reference="none", scale="std", per_element=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "rms_forces"}, "no force other than 0 on H, C, O"),
        ({"scale": "std"}, "no structure other than isolated atoms has an energy"),
        ({"shift": "mean"}, "no structure other than isolated atoms has an energy"),
        ({"reference": "mean"}, "no structure other than isolated atoms has an energy"),
    ],
)
def test_a_missing_label_is_an_error(rng, options, message):
    structures = [*ATOMS, cluster([1, 6, 8], rng, forces=False)]
    with pytest.raises(DataError, match=message):
        statistics(structures, **({"scale": "none"} | options))


def test_equal_energies_have_no_deviation(rng):
    structures = [cluster([1, 1], rng, energy=-2.0) for _ in range(3)]
    with pytest.raises(DataError, match="energies per atom are all the same"):
        statistics(structures, reference="none", scale="std")


def test_isolated_atoms_alone_have_no_shift():
    pair = [*ATOMS, atom(1, -13.0)]
    with pytest.raises(DataError, match="there is no structure other than isolated atoms"):
        statistics(pair, shift="mean")


def test_an_element_beyond_the_model_is_refused(molecules):
    with pytest.raises(ElementError, match="contains O, but the elements of the model are H, C"):
        atomic_energies(molecules, (1, 6), "least_squares")


def test_edge_counts_must_match_the_structures(molecules):
    with pytest.raises(ValueError, match="4 structures need as many counts, got 0"):
        compute_statistics(molecules, count_edges([], 3.0), ELEMENTS)


@given(
    arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.integers(0, 4))
)
def test_dependent_elements_are_the_null_space(counts):
    matrix = sympy.Matrix(counts)
    dependent = dependent_elements(counts)
    assert len(dependent) == counts.shape[1] - matrix.rank()
    for column, terms in dependent.items():
        assert all(other < column for other in terms)
        combined = [sum((f * int(row[k]) for k, f in terms.items()), Fraction(0)) for row in counts]
        assert combined == [int(row[column]) for row in counts]
