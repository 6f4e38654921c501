from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from multiace.study.arrays import grid, one_at_a_time, orthogonal_array, path
from multiace.study.errors import StudyError
from multiace.study.model_matrix import identify


def pair_counts(rows: np.ndarray, a: int, b: int) -> np.ndarray:
    table = np.zeros((rows[:, a].max() + 1, rows[:, b].max() + 1))
    for row in rows:
        table[row[a], row[b]] += 1
    return table


@pytest.mark.parametrize(
    ("sizes", "n_cells"),
    [((3, 3, 3, 2, 3, 3), 18), ((2,) * 7, 8), ((3, 3, 3, 3), 9), ((4, 2, 2), 16), ((2,) * 11, 12)],
)
def test_each_pair_of_levels_comes_equally_often(sizes, n_cells):
    rows = np.array(orthogonal_array(sizes, n_cells))
    assert rows.shape == (n_cells, len(sizes))
    for a, b in combinations(range(len(sizes)), 2):
        assert (pair_counts(rows, a, b) == n_cells / (sizes[a] * sizes[b])).all()


def test_a_two_level_factor_in_a_three_level_column_keeps_proportions():
    rows = np.array(orthogonal_array((3, 3, 2), 9))
    assert pair_counts(rows, 0, 2).tolist() == [[2, 1]] * 3


@pytest.mark.parametrize(("n_factors", "n_cells"), [(4, 8), (5, 16)])
def test_main_effects_are_kept_clear_of_interactions_where_columns_allow_it(n_factors, n_cells):
    found = identify(orthogonal_array((2,) * n_factors, n_cells), (2,) * n_factors)
    assert found.aliases == ((),) * n_factors


def test_sixteen_cells_identify_all_ten_interactions_of_five_factors():
    found = identify(orthogonal_array((2,) * 5, 16), (2,) * 5)
    assert len(found.identified) == 10


def test_a_size_without_array_is_refused():
    with pytest.raises(StudyError, match=r"no orthogonal array of 18 cells .* 5 x 5 levels: 25"):
        orthogonal_array((5, 5), 18)


def test_plans_count_their_cells():
    assert len(grid((3, 2, 4))) == 24
    assert len(one_at_a_time((3, 2, 4))) == 1 + 2 + 1 + 3
    assert len(path(5, both=False)) == 6
    assert len(path(5, both=True)) == 10


def test_a_path_changes_one_thing_at_a_time():
    cells = path(4, both=False)
    assert all(sum(np.subtract(b, a)) == 1 for a, b in pairwise(cells))


def test_confounded_factors_are_found():
    cells = [(0, 0, 0), (1, 1, 0), (0, 0, 1), (1, 1, 1)]
    assert identify(cells, (2, 2, 2)).confounded == ((0, 1),)


def test_half_a_cube_aliases_each_effect_with_the_interaction_of_the_others():
    cells = [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]
    found = identify(cells, (2, 2, 2))
    assert found.confounded == found.identified == ()
    assert found.aliases == (((1, 2),), ((0, 2),), ((0, 1),))


def test_a_grid_identifies_every_interaction():
    found = identify(grid((2, 3, 2)), (2, 3, 2))
    assert found.identified == ((0, 1), (0, 2), (1, 2))
    assert found.aliases == ((), (), ())
