"""Labels beside dots."""

import numpy as np
import pytest

from multiace.figures import Axis, Panel, Points
from multiace.figures.labels import _box, _overlap, label_sides

UNIT = Axis("", limits=(0.0, 1.0))


def boxes(panel: Panel) -> list:
    (mark,) = panel.marks
    (sides,) = label_sides(panel)
    places = zip(mark.labels, mark.x, mark.y, sides, strict=True)
    return [_box(text, x, y, side) for text, x, y, side in places]


@pytest.mark.parametrize("beside", [(0.02, 0.0), (0.0, 0.02), (0.02, 0.01), (0.03, -0.02)])
def test_labels_of_near_dots_do_not_overlap(beside):
    x, y = np.array([0.5, 0.5 + beside[0]]), np.array([0.5, 0.5 + beside[1]])
    first, second = boxes(Panel("", UNIT, UNIT, (Points(x, y, labels=("every layer", "tanh")),)))
    assert _overlap(first, second) == 0.0
    always = [_box(*each, (1, 1)) for each in zip(("every layer", "tanh"), x, y, strict=True)]
    assert _overlap(*always) > 0.0  # what they would be without a choice


@pytest.mark.parametrize("corner", [(0.01, 0.01), (0.99, 0.01), (0.01, 0.99), (0.99, 0.99)])
def test_labels_stay_within_the_panel(corner):
    x, y = (np.array([value]) for value in corner)
    (box,) = boxes(Panel("", UNIT, UNIT, (Points(x, y, labels=("label",)),)))
    assert _overlap(box, (0.0, 0.0, 1.0, 1.0)) == pytest.approx(_overlap(box, box))


def test_dots_without_labels_have_no_sides_and_are_kept_free():
    bare = Points(np.array([0.54]), np.array([0.52]))
    labelled = Points(np.array([0.5]), np.array([0.5]), labels=("label",))
    sides = label_sides(Panel("", UNIT, UNIT, (bare, labelled)))
    assert sides[0] == []
    assert sides[1] != [(1, 1)]


def test_places_on_a_logarithmic_axis_are_those_of_logarithms():
    axis = Axis("", log=True, limits=(1.0, 100.0))
    near = Points(np.array([10.0, 11.0]), np.array([10.0, 10.0]), labels=("one", "two"))
    ((first, second),) = label_sides(Panel("", axis, axis, (near,)))
    assert first != second
