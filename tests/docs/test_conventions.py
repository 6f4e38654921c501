"""What docs/conventions.md promises, sentence by sentence."""

import re
from pathlib import Path

import ase.units
import numpy as np
import pytest
import torch

from multiace import units
from multiace.geometry import Structure, build_graph
from multiace.o3.clebsch_gordan import clebsch_gordan
from multiace.o3.harmonics import spherical_harmonics
from multiace.o3.irreps import Irrep, Irreps

DOCS = Path(__file__).parents[2] / "docs"


def structure(numbers: list[int], positions: list, cell: np.ndarray | None = None) -> Structure:
    """Return a structure, periodic in all directions if it has a cell."""
    return Structure(
        numbers=np.array(numbers),
        positions=np.array(positions, dtype=np.float64),
        cell=cell,
        pbc=(cell is not None,) * 3,
    )


def test_one_gigapascal_is_the_number_on_the_page_and_that_of_ase():
    (number,) = re.findall(r"1 GPa = (\S+) eV", (DOCS / "conventions.md").read_text())
    assert float(number) == pytest.approx(units.GPA, rel=1e-6)
    assert pytest.approx(ase.units.GPa, rel=1e-6) == units.GPA


def test_an_edge_vector_points_from_the_receiver_to_the_sender():
    pair = structure([1, 8], [[0, 0, 0], [0, 0, 1]])
    graph = build_graph(pair, cutoff=2.0, elements=(1, 8))
    edge = graph.receivers.tolist().index(0)
    assert graph.senders[edge] == 1
    assert graph.edge_vectors[edge].tolist() == [0.0, 0.0, 1.0]


def test_cell_vectors_are_rows():
    cell = np.array([[3.0, 0.0, 0.0], [1.0, 4.0, 0.0], [0.0, 0.0, 9.0]])
    atom = structure([1], [[0, 0, 0]], cell)
    vectors = build_graph(atom, cutoff=4.2, elements=(1,)).edge_vectors.tolist()
    assert [1.0, 4.0, 0.0] in vectors
    assert [1.0, 0.0, 0.0] not in vectors


def test_edges_are_sorted_by_receiver_then_sender(rng):
    cloud = structure([1] * 9, rng.normal(size=(9, 3)).tolist())
    graph = build_graph(cloud, cutoff=2.0, elements=(1,))
    keys = list(zip(graph.receivers.tolist(), graph.senders.tolist(), strict=True))
    assert keys == sorted(keys)


@pytest.mark.parametrize(("axis", "component"), [(0, 2), (1, 0), (2, 1)])
def test_the_components_of_a_vector_are_y_z_x(axis, component):
    direction = torch.zeros(1, 3, dtype=torch.float64)
    direction[0, axis] = 1.0
    harmonics = spherical_harmonics(1, direction)[0, 1:]
    assert harmonics[component].item() == pytest.approx(3**0.5)


def test_the_squares_of_the_components_sum_to_their_number():
    direction = torch.nn.functional.normalize(torch.ones(1, 3, dtype=torch.float64))
    harmonics = spherical_harmonics(4, direction)[0]
    assert harmonics[0].item() == pytest.approx(1.0)
    for l in range(5):
        block = harmonics[l * l : (l + 1) ** 2]
        assert block.square().sum().item() == pytest.approx(2 * l + 1)


def test_columns_of_clebsch_gordan_coefficients_are_normalised():
    coefficients = clebsch_gordan(2, 3, 4)
    np.testing.assert_allclose((coefficients**2).sum(axis=(0, 1)), np.ones(9), atol=1e-12)


def test_irreps_are_sorted_by_degree_then_even_before_odd():
    irreps = [Irrep.parse(text) for text in ("2e", "1o", "0o", "1e", "0e")]
    assert str(Irreps.of(4, sorted(irreps))) == "4x0e+4x0o+4x1e+4x1o+4x2e"


def test_the_pressure_is_minus_a_third_of_the_trace_of_the_stress(random_potential):
    energies = []
    for length in (2.0 - 1e-4, 2.0 + 1e-4):
        atom = structure([6], [[0, 0, 0]], np.eye(3) * length)
        graph = build_graph(atom, random_potential.cutoff, random_potential.elements)
        energies.append(random_potential(graph, forces=False).energy.item())
    atom = structure([6], [[0, 0, 0]], np.eye(3) * 2.0)
    graph = build_graph(atom, random_potential.cutoff, random_potential.elements)
    stress = random_potential(graph, stress=True).stress[0]
    pressure = -(energies[1] - energies[0]) / ((2.0 + 1e-4) ** 3 - (2.0 - 1e-4) ** 3)
    assert -stress.diagonal().sum().item() / 3 == pytest.approx(pressure, rel=1e-5)


def test_the_files_in_the_table_of_symbols_exist():
    source = DOCS.parent / "src" / "multiace"
    table = (DOCS / "theory.md").read_text(encoding="utf-8")
    names = re.findall(r"`([a-z0-9_/]+(?:\.py|/))`", table.replace("kernels/reference/", ""))
    assert len(names) > 15
    for name in names:
        assert (source / name).exists(), name
