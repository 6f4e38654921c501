"""The table of labels and the check of the terms of a loss."""

import numpy as np
import pytest
from rich.console import Console

from multiace.data import DataError, label_table, read_structures
from multiace.geometry import Labels, Structure

FRAME = """\
2
Properties=species:S:1:pos:R:3:FORCES:R:3 ENERGY=-31.5 virial="1 2 3 4 5 6"
H 0.0 0.0 0.0 0.0 0.0 -1.5
O 0.0 0.0 0.9 0.0 0.0 1.5
"""


def read(tmp_path, *, energy: str, forces: str = "forces", name: str = "data.xyz"):
    """Return the structure of a file that names its labels this way."""
    path = tmp_path / name
    path.write_text(FRAME.replace("ENERGY", energy).replace("FORCES", forces))
    return read_structures(path)


def test_labels_are_counted_file_by_file(tmp_path):
    one = read(tmp_path, energy="REF_energy", name="one.xyz")
    two = read(tmp_path, energy="E", forces="F", name="two.xyz")
    table = label_table(two + one + one)
    assert table.n_structures == 3
    assert [table.count(label) for label in ("energy", "forces", "stress")] == [2, 2, 0]
    assert [row.file for row in table.rows] == [str(tmp_path / n) for n in ("two.xyz", "one.xyz")]
    assert table.rows[1].elements == (1, 8)
    energy = table.rows[1].labels["energy"]
    assert (energy.lowest, energy.highest, energy.keys) == (-15.75, -15.75, ("REF_energy",))


def test_ranges_are_those_of_components():
    stress = np.diag([-0.1, 0.0, 0.2])
    structure = Structure(
        np.array([14]), np.zeros((1, 3)), 3.0 * np.eye(3), (True,) * 3, Labels(stress=stress)
    )
    count = label_table([structure]).rows[0].labels["stress"]
    assert (count.lowest, count.highest) == (-0.1, 0.2)


def test_the_table_prints_as_text_and_through_rich(tmp_path):
    table = label_table(read(tmp_path, energy="REF_energy"))
    text = table.render()
    assert "1/1 -15.75 to -15.75 eV/atom (REF_energy)" in text
    assert "1/1 -1.5 to 1.5 eV/Å" in text
    assert text.splitlines()[0].split() == [
        "file", "structures", "atoms", "elements", "energy", "forces", "stress",
    ]  # fmt: skip
    assert str(table) == text
    console = Console(width=300, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    assert "-15.75 to -15.75 eV/atom (REF_energy)" in capture.get()


def test_labels_that_exist_satisfy_the_loss(tmp_path):
    table = label_table(read(tmp_path, energy="energy"))
    table.require(["energy", "forces"])
    with pytest.raises(DataError, match="stress"):
        table.require(["energy", "forces", "stress"])


@pytest.mark.parametrize(
    ("label", "names", "present", "closest"),
    [
        ("energy", {"energy": "dft_energy"}, "dft_energy, virial", "dft_energy"),
        ("energy", {"energy": "Energy"}, "Energy, virial", "Energy"),
        ("forces", {"energy": "energy", "forces": "force"}, "force", "force"),
        ("forces", {"energy": "energy", "forces": "dft_force"}, "dft_force", "dft_force"),
    ],
)
def test_a_term_without_a_label_is_refused_with_the_closest_name(
    tmp_path, label, names, present, closest
):
    table = label_table(read(tmp_path, **names))
    with pytest.raises(DataError) as error:
        table.require([label])
    assert f"the loss has a weight for {label}, but no structure of {tmp_path}" in str(error.value)
    assert f"other names in the files: {present}." in str(error.value)
    assert (
        f"Set data.keys.{label} to the name that holds it, perhaps '{closest}'" in error.value.hint
    )


def test_a_virial_is_pointed_out_where_stress_is_missing(tmp_path):
    table = label_table(read(tmp_path, energy="energy"))
    with pytest.raises(DataError, match="other names in the files: virial"):
        table.require(["stress"])
