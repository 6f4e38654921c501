"""Several files at once: labels, units, repetitions and E0 of the whole."""

import numpy as np
import pytest
from tests.data.samples import CRYSTAL, FRAME

from multiace.data import DataError, DataErrors, DataWarning, LabelNames, read_files
from multiace.data.check import check_files

OTHER = FRAME.replace("0.9", "0.8")


@pytest.fixture
def write(tmp_path):
    """Return a function that writes texts to files and returns their paths."""

    def write_texts(*texts: str) -> list[str]:
        paths = [tmp_path / f"{index}.xyz" for index in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        return [str(path) for path in paths]

    return write_texts


def warnings_of(files, **options) -> list[str]:
    return [str(warning) for warning in read_files(files, **options).warnings]


def test_good_files_are_read_in_order_without_a_word(write):
    reading = read_files(write(FRAME, OTHER))
    assert [len(members) for members in reading.sets] == [1, 1]
    assert [s.positions[1, 2] for s in reading.structures] == [0.9, 0.8]
    assert reading.warnings == ()


def test_the_problems_of_all_files_come_as_one_error(write):
    files = write(FRAME.replace("-31.5", "nan"), OTHER, FRAME[:-1])
    with pytest.raises(DataErrors) as error:
        read_files([*files, "absent.xyz"])
    places = [(problem.file, problem.frame) for problem in error.value.problems]
    assert places == [(files[0], 0), (files[2], 0), ("absent.xyz", None)]


@pytest.mark.parametrize(
    ("old", "new", "field", "option"),
    [
        ("energy=", "dft_energy=", "energy", "energy"),
        ("energy=", "Energy=", "energy", "energy"),
        ("forces:R", "force:R", "forces", "forces"),
        ("config_type", 'virial="1 0 0 0 1 0 0 0 1" config_type', "stress", "virial"),
        ("config_type", 'dft_stress="1 0 0 0 1 0 0 0 1" config_type', "stress", "stress"),
    ],
)
def test_labels_under_other_names_are_named_with_the_option_to_read_them(
    write, old, new, field, option
):
    files = write(FRAME.replace(old, new))
    (warning,) = read_files(files).warnings
    assert warning.field == field
    assert f"data.keys.{option} in a config or --{option}-key" in warning.hint
    (problem,) = check_files(files).findings.problems
    assert problem.problem == warning.problem


def test_a_label_that_some_frames_lack_is_no_problem(write):
    bare = OTHER.replace("energy=-31.5 ", "").replace("forces:R:3", "other:R:3")
    reading = read_files(write(FRAME + bare))
    assert [s.labels.energy for s in reading.structures] == [-31.5, None]


def test_units_are_checked_unless_that_is_switched_off(write):
    files = write(FRAME.replace("0.9", "0.3"))
    with pytest.raises(DataError, match="median distance of nearest neighbours is 0.3 Å"):
        read_files(files)
    assert len(read_files(files, unit_check=False).structures) == 1


def test_energies_are_compared_with_the_atoms_of_all_files_and_those_given(write):
    atom = "1\nProperties=species:S:1:pos:R:3 energy=-313.6\nH 0 0 0\n"
    with pytest.raises(DataError, match="lie 297.85 eV per atom"):
        read_files(write(FRAME, atom))
    with pytest.raises(DataError, match="lie 284.25 eV per atom"):
        read_files(write(FRAME), atomic_energies={"H": -300.0})
    assert warnings_of(write(FRAME), atomic_energies={"H": -13.6}) == []


def test_isolated_atoms_that_disagree_are_a_problem(write):
    first = "1\nProperties=species:S:1:pos:R:3 energy=-13.6\nH 0 0 0\n"
    atoms = [first, first.replace("-13.6", "-13.5")]
    with pytest.raises(DataError, match="two isolated H atoms have different energies"):
        read_files(write(*atoms))


def test_repetitions_across_files_are_warnings_and_can_be_left_out(write):
    files = write(FRAME, OTHER + FRAME)
    (warning,) = warnings_of(files)
    assert "frame 1: this is the first of 1" in warning
    assert warnings_of(files, duplicates=False) == []


def test_an_energy_far_from_its_composition_is_shown(write):
    frames = [FRAME.replace("0.9", f"{0.8 + 0.01 * i:.2f}") for i in range(9)]
    (warning,) = warnings_of(
        write("".join(frames) + OTHER.replace("0.8", "1.2").replace("-31.5", "-90.5"))
    )
    assert "frame 9: the energy lies 29.5 eV per atom from the median" in warning


def test_forces_with_a_net_force_are_shown(write):
    (warning,) = warnings_of(write(FRAME.replace("0.0 1.5\n", "0.0 0.5\n")))
    assert "forces do not add up to zero in 1 of 1 frames" in warning
    assert "apply_constraint=False" in warning


def test_a_cell_without_pbc_is_said_aloud(write):
    text = CRYSTAL.replace('KEY="VALUES"', "energy=-1").replace('pbc="T T T" ', "")
    (warning,) = warnings_of(write(text))
    assert "1 frame has a Lattice without pbc" in warning


def test_a_free_energy_that_differs_is_said_aloud(write):
    (warning,) = warnings_of(write(FRAME.replace("energy=-31.5", "energy=-31.5 free_energy=-31.6")))
    assert "free_energy that differs from the energy, by up to 0.1 eV" in warning
    near = FRAME.replace("energy=-31.5", "energy=-31.5 free_energy=-31.5005")
    assert warnings_of(write(near)) == []


def stressed(**values: str) -> str:
    comment = " ".join(f'{key}="{value}"' for key, value in values.items())
    return CRYSTAL.replace('KEY="VALUES"', comment)


VOLUME = abs(np.linalg.det(np.array([[3.0, 0.1, 0], [0, 3.1, 0.2], [0.3, 0, 2.9]])))
STRESS = np.array([[0.1, 0.02, 0.0], [0.02, 0.2, 0.03], [0.0, 0.03, -0.1]])


def text(matrix) -> str:
    return " ".join(map(repr, np.ravel(matrix).tolist()))


def test_a_virial_makes_a_stress_where_it_is_named(write):
    files = write(stressed(virial=text(-VOLUME * STRESS)))
    names = LabelNames(virial="virial")
    (structure,) = read_files(files, names).structures
    np.testing.assert_allclose(structure.labels.stress, STRESS, atol=1e-12)
    assert structure.labels.keys == {"stress": "virial"}


@pytest.mark.parametrize(
    ("factor", "reason"),
    [
        (-1.0, "the sign of one is opposite"),
        (160.21766208, "stress looks like GPa"),
        (1602.1766208, "stress looks like kbar"),
        (-1602.1766208, "stress looks like kbar with compression positive"),
        (1.7, "they do not belong together"),
    ],
)
def test_a_virial_and_a_stress_must_agree(write, factor, reason):
    virial = text(-VOLUME * STRESS)
    assert warnings_of(write(stressed(stress=text(STRESS), virial=virial))) == []
    with pytest.raises(DataError, match=reason):
        read_files(write(stressed(stress=text(factor * STRESS), virial=virial)), unit_check=False)


@pytest.mark.parametrize("order", ["voigt", "vasp", "lammps"])
def test_six_components_are_read_in_the_order_that_is_declared(write, order):
    from multiace.data.frame_labels import STRESS_ORDERS

    values = [STRESS["xyz".index(a), "xyz".index(b)] for a, b in STRESS_ORDERS[order].split()]
    files = write(stressed(stress=text(values)))
    with pytest.raises(DataError, match="6 components, whose order nothing tells") as error:
        read_files(files)
    assert "--stress-order" in error.value.hint
    (structure,) = read_files(files, LabelNames(stress_order=order)).structures
    np.testing.assert_array_equal(structure.labels.stress, STRESS)


def test_e0_that_nothing_determines_is_a_warning_of_the_check(write):
    water = (
        "3\nProperties=species:S:1:pos:R:3 energy=-2081.0\nO 0 0 0\nH 0 0.76 0.59\nH 0 -0.76 0.59\n"
    )
    (warning,) = check_files(write(water)).findings.warnings
    assert isinstance(warning, DataWarning)
    assert "no isolated atom of H, O" in str(warning)
    assert "rank 1 for 2 elements (n(O) = 1/2 n(H) in every structure)" in str(warning)
    hydrogen = "1\nProperties=species:S:1:pos:R:3 energy=-13.6\nH 0 0 0\n"
    assert check_files(write(water, FRAME)).findings.warnings == []
    atoms = hydrogen + hydrogen.replace("H 0", "O 0").replace("-13.6", "-2041")
    assert check_files(write(water, atoms)).findings.warnings == []
