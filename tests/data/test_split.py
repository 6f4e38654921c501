"""The division into training and validation."""

import numpy as np
import pytest

from multiace.data import DataError, split
from multiace.geometry import Structure

STRUCTURES = [Structure(np.array([1]), np.zeros((1, 3)), source=f"a:{i}") for i in range(20)]


@pytest.mark.parametrize(("valid", "size"), [(3, 3), (0.25, 5), (0.96, 19), (19, 19)])
def test_each_structure_is_in_one_part_and_in_order(valid, size):
    training, validation = split(STRUCTURES, valid, seed=1)
    assert len(validation) == size
    places = [[STRUCTURES.index(s) for s in part] for part in (training, validation)]
    assert sorted(places[0] + places[1]) == list(range(20))
    assert all(part == sorted(part) for part in places)


def test_the_seed_alone_decides():
    np.random.seed(5)  # noqa: NPY002 - other streams must not matter
    one = split(STRUCTURES, 5, seed=1)[1]
    np.random.seed(6)  # noqa: NPY002
    assert split(STRUCTURES, 5, seed=1)[1] == one
    assert split(STRUCTURES, 5, seed=2)[1] != one


def test_larger_validation_sets_contain_smaller_ones():
    small, large = (split(STRUCTURES, valid, seed=3)[1] for valid in (4, 9))
    assert set(map(id, small)) <= set(map(id, large))


@pytest.mark.parametrize(
    ("valid", "message"),
    [
        (0, "leaves the validation set empty"),
        (0.01, "0.01 of 20 structures for validation leaves the validation set empty"),
        (0.99, "leaves the training set empty"),
        (20, "leaves the training set empty"),
        (-1, "leaves the validation set empty"),
        (2.5, "a number of structures or a fraction below 1, got 2.5"),
    ],
)
def test_an_empty_part_is_refused(valid, message):
    with pytest.raises(DataError, match=message):
        split(STRUCTURES, valid, seed=0)
