"""Extended XYZ: labels under their names, and each way a file can be wrong."""

import gzip

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from multiace.data import DataError, DataErrors, DataWarning, keys_in_file, read_structures

FRAME = """\
2
Properties=species:S:1:pos:R:3:forces:R:3 energy=-31.5 config_type=dimer pbc="F F F"
H 0.0 0.0 0.0 0.0 0.0 -1.5
H 0.0 0.0 0.9 0.0 0.0 1.5
"""
CRYSTAL = """\
1
pbc=T Lattice="3 0.1 0 0 3.1 0.2 0.3 0 2.9" Properties=species:S:1:pos:R:3 energy=-1 KEY="VALUES"
Li 0.0 0.0 0.0
"""


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a text to a file and returns the path."""

    def write_text(text: str):
        path = tmp_path / "data.xyz"
        path.write_text(text)
        return path

    return write_text


def test_what_ase_writes_is_read_again(tmp_path, rng):
    frames = []
    for atoms in (bulk("Si"), molecule("CH3CH2OH"), bulk("NaCl", "rocksalt", a=5.6)):
        atoms.rattle(0.1, rng=rng)
        results = {"energy": rng.normal(), "forces": rng.normal(size=(len(atoms), 3))}
        if atoms.pbc.all():
            results["stress"] = rng.normal(size=6)
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    write(tmp_path / "all.xyz", frames)
    structures = read_structures(tmp_path / "all.xyz")
    for index, (structure, atoms) in enumerate(zip(structures, frames, strict=True)):
        labels, expected = structure.labels, atoms.calc.results
        np.testing.assert_array_equal(structure.numbers, atoms.numbers)
        np.testing.assert_allclose(structure.positions, atoms.positions, atol=1e-8)
        assert labels.energy == expected["energy"]
        np.testing.assert_allclose(labels.forces, expected["forces"], atol=1e-8)
        assert (labels.stress is None) == ("stress" not in expected)
        if labels.stress is not None:
            found = labels.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
            np.testing.assert_allclose(found, expected["stress"], atol=1e-8)
            np.testing.assert_allclose(structure.cell, atoms.cell[:])
        assert structure.source == f"{tmp_path / 'all.xyz'}:{index}"


@pytest.mark.parametrize("prefix", ["", "REF_"])
def test_labels_are_found_under_both_names(file, prefix):
    text = FRAME.replace("energy", f"{prefix}energy").replace("forces", f"{prefix}forces")
    (structure,) = read_structures(file(text))
    assert structure.labels.energy == -31.5
    np.testing.assert_array_equal(structure.labels.forces[:, 2], [-1.5, 1.5])
    assert structure.labels.keys == {"energy": f"{prefix}energy", "forces": f"{prefix}forces"}
    assert structure.config_type == "dimer"


def test_labels_are_found_under_a_name_that_is_given(file):
    text = FRAME.replace("energy", "dft").replace("forces", "grad")
    assert read_structures(file(text))[0].labels.energy is None
    (structure,) = read_structures(file(text), energy_key="dft", forces_key="grad")
    assert structure.labels.energy == -31.5
    assert structure.labels.forces is not None


def test_the_plain_label_can_be_passed_over(file):
    path = file(FRAME.replace("energy=-31.5", "energy=-31.5 REF_energy=-40.0"))
    with pytest.raises(DataError, match=r"energy and REF_energy differ by up to 8\.5") as error:
        read_structures(path)
    assert "'energy' or 'REF_energy'" in error.value.hint
    assert "data.keys.energy in a config, --energy-key of `multiace eval" in error.value.hint
    assert read_structures(path, energy_key="REF_energy")[0].labels.energy == -40.0


def test_two_names_for_one_value_are_accepted(file):
    path = file(FRAME.replace("energy=-31.5", "REF_energy=-31.5 energy=-31.5"))
    assert read_structures(path)[0].labels.energy == -31.5


def test_labels_are_masked_frame_by_frame(file):
    bare = FRAME.replace("energy=-31.5", "").replace(":forces:R:3", ":other:R:3")
    labelled, unlabelled = read_structures(file(FRAME + bare))
    assert labelled.labels.energy is not None
    assert unlabelled.labels.energy is None
    assert unlabelled.labels.forces is None


@pytest.mark.parametrize("key", ["stress", "REF_stress"])
@pytest.mark.parametrize("values", ["1 6 5 6 2 4 5 4 3", "1 2 3 4 5 6"])
def test_stress_is_read_as_a_matrix_or_in_a_declared_order(file, key, values):
    text = CRYSTAL.replace("KEY", key).replace("VALUES", values)
    (structure,) = read_structures(file(text), stress_order="voigt")
    np.testing.assert_array_equal(
        structure.labels.stress, [[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]]
    )
    assert structure.pbc == (True, True, True)


def test_the_rows_of_the_lattice_are_the_cell_vectors(file):
    text = CRYSTAL.replace('KEY="VALUES"', "config_weight=0.5")
    (structure,) = read_structures(file(text))
    np.testing.assert_array_equal(structure.cell[1], [0.0, 3.1, 0.2])
    assert structure.weight == 0.5


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ("energy=-31.5", "energy=nan", "energy contains nan", 6),
        ("energy=-31.5", "energy=-inf", "energy contains -inf", 6),
        ("energy=-31.5", "energy=-1,234.5", "energy is not a number|single number", 6),
        ("energy=-31.5", 'energy="-1 234.5"', "energy must be a single number", 6),
        ("energy=-31.5", "energy=*****", "energy is not a number", 6),
        ("energy=-31.5", "energy", "energy is not a number", 6),
        ("0.0 0.0 1.5\n", "0.0 0.0 nan\n", "forces contains nan", 8),
        ("0.0 0.0 0.9", "0.0 nan 0.9", "pos contains nan: positions must be finite", 8),
        ("H 0.0 0.0 0.9", "Hx 0.0 0.0 0.9", "'Hx' is not the symbol of a chemical element", 8),
        ("H 0.0 0.0 0.9", "h 0.0 0.0 0.9", "Did you mean 'H'", 8),
        ("H 0.0 0.0 0.9", "X 0.0 0.0 0.9", "'X' is not the symbol", 8),
        ("H 0.0 0.0 0.9", "1 0.0 0.0 0.9", "'1' is not the symbol", 8),
        ("0.0 0.0 1.5\n", "0.0 0.0 1.5 7.0\n", "expected 7 columns, found 8", 8),
        ("0.0 0.0 1.5\n", "0.0 1.5\n", "expected 7 columns, found 6", 8),
        ("0.0 0.0 1.5\n", "0.0 0.0 1.0D+00\n", r"forces is not a number: '1.0D\+00'.*with E", 8),
        ("pos:R:3", "pos:R", "not name:type:columns", 6),
        ("species:S:1:", "name:S:1:", "must hold species and pos", 6),
        ("forces:R:3", "forces:R:2:x:R:1", r"forces must be of shape \(2, 3\)", 6),
        ('pbc="F F F"', 'pbc="T T T"', "needs a cell", 6),
        ("config_type", "config_weight=-1 config_type", "config_weight must be", 6),
        ("config_type", "energy=-31.5 config_type", "energy occurs twice", 6),
        ("forces:R:3", "pos:R:3", "Properties has pos twice", 6),
        ("forces:R:3", "forces:S:3", "forces must be of type R", 6),
        ("pos:R:3:forces:R:3", "pos:R:2:x:R:1:forces:R:3", "pos must be three columns", 6),
        ("0.0 0.0 0.9", "0.0 0.0 1_0.9", "pos is not a number: '1_0.9'", 8),
        ("0.0 0.0 0.9", "0.0 0.0 *****", "did not fit its column", 8),
        ("0.0 0.0 0.9", "0.0 0.0 0.05", r"atoms 0 and 1 are 0\.05 Å apart", 8),
        ("0.0 0.0 0.9", "0.0 0.0 0.0", "atoms 0 and 1 are 0 Å apart", 8),
        ('pbc="F F F"', 'pbc="T T"', "pbc must have 3 values", 6),
        ('pbc="F F F"', 'pbc="T T X"', "pbc must be T or F", 6),
        ('pbc="F F F"', 'Lattice="5 0 0 5"', "Lattice must have 9 components, got 4", 6),
        ('pbc="F F F"', 'pbc=T Lattice="5 0 0 0 5 0 0 0 nan"', "cell must be finite", 6),
        ('pbc="F F F"', 'pbc=T Lattice="5 0 0 0 5 0 5 5 0"', "linearly independent", 6),
        ('pbc="F F F"', 'pbc=T Lattice="1 0 0 0 1 0 0 0 0.9"', r"a volume of 0\.9 Å\^3", 6),
        ('pbc="F F F"', 'pbc="T F F" Lattice="0.2 0 0 0 9 0 0 0 9"', "an edge of 0.2 Å", 6),
        ('pbc="F F F"', 'lattice="5 0 0 0 5 0 0 0 5"', r"lattice is not read. Write Lattice", 6),
        ("Properties", "properties", r"properties is not read. Write Properties", 6),
        ("0.0 0.0 0.9", "0.0 0.0 1e300", r"within 1e\+15 Å", 5),
        ("H 0.0 0.0 0.9", "D 0.0 0.0 0.9", "Write 'H': isotopes", 8),
        ("H 0.0 0.0 0.9", "1 0.0 0.0 0.9", "Write 'H'", 8),
        ('pbc="F F F"', 'stress="1 2 3 2 4 5 3 5 6"', "there is a stress, but not all", 6),
    ],
)
def test_an_error_names_file_frame_and_line(file, old, new, message, line):
    assert old in FRAME
    path = file(FRAME + FRAME.replace(old, new) + FRAME)
    with pytest.raises(DataError, match=message) as error:
        read_structures(path)
    assert (error.value.file, error.value.frame, error.value.line) == (str(path), 1, line)
    assert str(error.value).startswith(f"{path}, frame 1, line {line}: ")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("1 2 3 4 5 6 7 8 9", "stress is not symmetric"),
        ("1 2 3", "must have 9 components, or 6 in a declared order, got 3"),
        ("1 2 3 4 5 6", "stress has 6 components, whose order nothing tells"),
        ("1 2 nan 4 5 6 7 8 9", "stress contains nan"),
    ],
)
def test_a_wrong_stress_is_refused(file, values, message):
    with pytest.raises(DataError, match=message):
        read_structures(file(CRYSTAL.replace("KEY", "stress").replace("VALUES", values)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        (FRAME + "\n" + FRAME, "expected the number of atoms, at least 1, found a blank line"),
        (FRAME + "0\n\n", "expected the number of atoms, at least 1, found '0'"),
        (FRAME + "two\n", "found 'two'"),
        ((FRAME + FRAME)[:-1], "the last line does not end"),
        ((FRAME + FRAME)[:-8], "the last line does not end"),
        (FRAME + "\n".join(FRAME.split("\n")[:3]) + "\n", "expected 2 atoms, found 1"),
        (FRAME + "2\n", "expected 2 atoms, found 0"),
    ],
)
def test_a_truncated_or_broken_file_is_refused(file, text, message):
    with pytest.raises(DataError, match=message):
        read_structures(file(text))


def test_every_wrong_part_of_a_frame_is_a_problem_of_its_own(file):
    wrong = FRAME.replace("energy=-31.5", "energy=nan").replace('pbc="F F F"', 'pbc="T T T"')
    wrong = wrong.replace("H 0.0 0.0 0.9 0.0 0.0 1.5", "Xx 0.0 inf 0.9 0.0 0.0 ****")
    with pytest.raises(DataErrors) as error:
        read_structures(file(wrong))
    found = [(problem.field, problem.line) for problem in error.value.problems]
    assert found == [("species", 4), ("pos", 4), ("pbc", 2), ("energy", 2), ("forces", 4)]


def test_images_of_atoms_can_overlap_too(file):
    text = CRYSTAL.replace('KEY="VALUES"', "").replace("1\n", "2\n", 1) + "Li 3.0 0.1 0.05\n"
    with pytest.raises(DataError, match=r"atoms 0 and 1 are 0\.05 Å apart"):
        read_structures(file(text))


def test_left_handed_cells_are_read_as_they_are(file):
    text = CRYSTAL.replace("3 0.1 0 0 3.1 0.2 0.3 0 2.9", "0 3 0 3 0 0 0 0 3")
    (structure,) = read_structures(file(text.replace('KEY="VALUES"', "")))
    assert np.linalg.det(structure.cell) < 0
    assert structure.volume == pytest.approx(27.0)


def test_a_cell_without_pbc_warns(file):
    text = CRYSTAL.replace("pbc=T ", "").replace('KEY="VALUES"', "")
    with pytest.warns(DataWarning, match="1 frame has a Lattice without pbc"):
        (structure,) = read_structures(file(text))
    assert structure.pbc == (True, True, True)


def test_blank_lines_at_the_end_are_accepted(file):
    assert len(read_structures(file(FRAME + FRAME + "\n \n"))) == 2


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.xyz: there is no such file"):
        read_structures(tmp_path / "none.xyz")


def test_a_binary_file_is_refused(tmp_path):
    (tmp_path / "data.xyz").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(DataError, match="not a text file in UTF-8. Give extended XYZ"):
        read_structures(tmp_path / "data.xyz")
    (tmp_path / "data.xyz").write_bytes(gzip.compress(FRAME.encode()))
    with pytest.raises(DataError, match="Decompress it"):
        read_structures(tmp_path / "data.xyz")


def test_a_byte_order_mark_is_read_over(tmp_path):
    (tmp_path / "data.xyz").write_text(FRAME, encoding="utf-8-sig")
    assert len(read_structures(tmp_path / "data.xyz")) == 1


def test_plain_xyz_has_no_labels(file):
    (structure,) = read_structures(file("1\na comment line\nHe 0.0 0.0 0.0\n"))
    assert structure.numbers.tolist() == [2]
    assert structure.pbc == (False, False, False)
    assert structure.labels.energy is None


def test_atomic_numbers_stand_for_symbols(file):
    (structure,) = read_structures(file("1\nProperties=Z:I:1:pos:R:3\n14 0.0 0.0 0.0\n"))
    assert structure.numbers.tolist() == [14]


def test_keys_in_file_lists_what_could_be_a_label(file):
    path = file(FRAME + CRYSTAL.replace("KEY", "virial").replace("VALUES", "1 2 3 4 5 6"))
    assert keys_in_file(path) == {
        "frame": ("config_type", "energy", "virial"),
        "atoms": ("forces",),
    }
