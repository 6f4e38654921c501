"""Pictures of structures: what is joined, how they are turned, and the files."""

import numpy as np
import pytest

from multiace.geometry import Structure
from multiace.report import Frame, StructureView
from multiace.report.structure_view import bonds, element_colour, frame_data, save_view, view_axes

from .sample import view


def crystal() -> Structure:
    cell = 5.4 * np.eye(3)
    positions = np.array([[0.0, 0.0, 0.0], [1.35, 1.35, 1.35]])
    return Structure(
        numbers=np.array([14, 14]), positions=positions, cell=cell, pbc=(True, True, True)
    )


def test_malonaldehyde_has_its_bonds():
    structure = view().frames[0].structure
    joined = bonds(structure)
    symbols = {
        tuple(sorted((int(structure.numbers[i]), int(structure.numbers[j])))) for i, j in joined
    }
    assert symbols == {(6, 6), (6, 8), (1, 6), (1, 8)}
    assert len(joined) == 8


def test_turning_changes_no_distance_and_no_handedness():
    for structure in (view().frames[0].structure, crystal()):
        axes = view_axes(structure)
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(axes) == pytest.approx(1.0)
        placed = np.array(frame_data(Frame(structure, ""))["positions"])
        np.testing.assert_allclose(
            np.linalg.norm(placed[0] - placed[-1]),
            np.linalg.norm(structure.positions[0] - structure.positions[-1]),
            atol=2e-3,
        )


def test_molecules_are_seen_from_their_flat_side():
    placed = np.array(frame_data(view().frames[0])["positions"])
    extent = np.ptp(placed, axis=0)
    assert extent[0] > extent[1] > extent[2]


def test_one_atom_can_be_seen():
    atom = Structure(numbers=np.array([92]), positions=np.zeros((1, 3)))
    content = frame_data(Frame(atom, "uranium"))
    assert content["bonds"] == []
    assert content["positions"] == [[0.0, 0.0, 0.0]]


def test_a_cell_that_repeats_has_twelve_edges():
    assert len(frame_data(Frame(crystal(), ""))["cell"]) == 12
    assert frame_data(view().frames[0])["cell"] == []


def test_arrows_are_turned_with_the_atoms_and_scaled():
    structure = crystal()
    arrows = structure.positions.copy()
    content = frame_data(Frame(structure, "", arrows=arrows, scale=2.0))
    placed = np.array(content["positions"])
    np.testing.assert_allclose(content["arrows"][1], 2.0 * (placed[1] - placed[0]), atol=3e-3)


def test_elements_have_colours_of_their_own():
    assert len({element_colour(number) for number in (1, 6, 7, 8, 14)}) == 5
    assert view().elements[0] == ("H", element_colour(1))


def test_a_crystal_is_drawn_with_its_cell(tmp_path):
    png, svg = tmp_path / "cell.png", tmp_path / "cell.svg"
    save_view(StructureView("cell", "A cell", (Frame(crystal(), "Si"),)), png, svg)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_text(encoding="utf-8").count("<path") > 12


def test_a_view_of_nothing_is_refused():
    with pytest.raises(ValueError, match="needs at least one structure"):
        StructureView("empty", "", ())
