"""Statistics hold finite numbers, global or by element."""

import math

import pytest
from pydantic import ValidationError

from multiace.design import Statistics


def test_shift_and_scale_are_global_or_by_element():
    e0 = {"H": -13.0, "O": -2000.0}
    by_element = Statistics(
        mean_neighbours=3.0, atomic_energies=e0, shift={"H": 0.1, "O": 0.2}, scale=2.0
    )
    assert (by_element.shift_of("O"), by_element.scale_of("O")) == (0.2, 2.0)
    by_element = Statistics(
        mean_neighbours=3.0, atomic_energies=e0, shift=0.5, scale={"H": 3.0, "O": 4.0}
    )
    assert (by_element.shift_of("H"), by_element.scale_of("H")) == (0.5, 3.0)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"mean_neighbours": 0.0}, "greater than 0"),
        ({"mean_neighbours": math.nan}, "finite number"),
        ({"atomic_energies": {"H": math.inf}}, "finite number"),
        ({"mean_neighbors": 3.0}, "Extra inputs are not permitted"),
    ],
)
def test_statistics_that_are_no_numbers_are_refused(changes, rule):
    fields = {"mean_neighbours": 3.0, "atomic_energies": {"H": -13.0}}
    with pytest.raises(ValidationError, match=rule):
        Statistics.model_validate(fields | changes)
