"""Comment lines: read as ASE reads what it can, refused where it guesses."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from ase.io.extxyz import key_val_str_to_dict

from multiace.data.comment import CommentError, numbers, parse_comment, truths


def test_what_ase_writes_is_read_as_ase_reads_it(tmp_path):
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 1]], cell=np.eye(3) * 5, pbc=[True, False, True])
    atoms.info = {
        "quotes": "it\"s a 'b' = c",
        "list": [1, 2],
        "matrix": np.arange(9.0).reshape(3, 3) + np.arange(9.0).reshape(3, 3).T,
        "vector": np.arange(6.0),
        "tiny": 1e-300,
        "flag": True,
        "apostrophe": "it's",
        "Å": "Ω",
    }
    write(tmp_path / "a.xyz", atoms)
    line = (tmp_path / "a.xyz").read_text().splitlines()[1]
    ours, theirs = parse_comment(line), key_val_str_to_dict(line)
    assert list(ours) == list(theirs)
    assert ours["quotes"] == theirs["quotes"]
    assert ours["Å"] == "Ω"
    for key in ("matrix", "list"):
        np.testing.assert_array_equal(numbers(ours[key]), np.ravel(theirs[key]))
    for key in ("vector", "tiny"):
        np.testing.assert_array_equal(numbers(ours[key]), np.ravel(theirs[key]))
    np.testing.assert_array_equal(numbers(ours["Lattice"]), 5 * np.eye(3).ravel())
    assert truths(ours["pbc"]) == (True, False, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1 b = 2 c", {"a": "1", "b": "2", "c": None}),
        ("a={1 2} b=[3 4] c='5 6'", {"a": "1 2", "b": "3 4", "c": "5 6"}),
        ("a=[[1, 2], [3, 4]]", {"a": "[1, 2], [3, 4]"}),
        ('"two words"=1', {"two words": "1"}),
        ("energy -31.5 eV, it's free text", {}),
        ("a=b=c", {"a": "b=c"}),
        ("a=iso\u00a0bulk b=1", {"a": "iso\u00a0bulk", "b": "1"}),
    ],
)
def test_each_way_to_write_values_is_read(text, expected):
    assert parse_comment(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('energy=1 name="open', "from column 10 on: 'name=\"open'"),
        ("energy= 1 energy=2", "energy occurs twice"),
        ('pbc="T T T"energy=1', "from column 1 on"),
        ("energy=", "cannot be read"),
    ],
)
def test_a_line_that_could_mean_anything_is_refused(text, message):
    with pytest.raises(CommentError, match=message):
        parse_comment(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("******", "did not fit its column"),
        ("1.0D+00", "Write the exponent with E"),
        ("1.0-100", "E of the exponent"),
        ("1_000", ""),
        ("١٢", ""),
        ("[1, 2] 3", ""),
        ("[[1], [2]]", ""),
        ("_JSON true", ""),
        ("_JSON null", ""),
        ('_JSON [1, "2"]', ""),
        ("_JSON " + 100_000 * "[", ""),
        ("", ""),
    ],
)
def test_what_is_no_number_is_refused_with_its_likely_cause(text, hint):
    with pytest.raises(CommentError, match="is not a number") as error:
        numbers(text)
    assert hint in error.value.hint


@pytest.mark.parametrize("text", ["[1, 2], [3, 4]", "[1 2] [3 4]", "_JSON [[1, 2], [3, 4.0]]"])
def test_lists_of_lists_are_read_row_after_row(text):
    np.testing.assert_array_equal(numbers(text), [1, 2, 3, 4])


def test_logical_values_are_t_or_f():
    assert truths("T,F true 0") == (True, False, True, False)
    with pytest.raises(CommentError, match="must be T or F"):
        truths("T T X")
