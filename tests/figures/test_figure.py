"""Figures as data."""

import numpy as np
import pytest

from multiace.figures import Axis, Coverage, Density, Figure, Line, Panel, Points

X = np.linspace(0.0, 1.0, 11)


def test_a_density_counts_every_event():
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    density = Density.of(x, 2.0 * x, cells=20)
    assert density.counts.sum() == 500
    row, column = np.argwhere(density.counts > 0)[0]
    inside = (x >= density.x_edges[column]) & (x <= density.x_edges[column + 1])
    assert inside.any()
    assert (2.0 * x[inside] >= density.y_edges[row]).any()


def test_one_event_and_equal_values_make_a_density():
    assert Density.of(np.array([3.0]), np.array([3.0])).counts.sum() == 1


def test_the_histogram_of_what_is_covered_ends_with_the_axis():
    covered = Coverage(np.array([0.1, 0.1, 0.9, 5.0]), cells=2)
    heights, edges = covered.histogram((0.0, 1.0))
    assert (heights.tolist(), edges.tolist()) == ([1.0, 0.5], [0.0, 0.5, 1.0])
    assert covered.within((0.0, 1.0)).tolist() == [0.1, 0.1, 0.9]


def test_the_legend_has_each_name_once():
    lines = tuple(Line(X, k * X, name=name) for k, name in enumerate("abca"))
    panel = Panel("", Axis(), Axis(), (*lines, Line(X, X)))
    assert [mark.name for mark in Figure("a", "", (panel, panel)).legend] == ["a", "b", "c"]


def test_mistakes_are_refused_with_what_is_possible():
    with pytest.raises(ValueError, match="'red' is not a colour of figures. Use one of ink"):
        Line(X, X, colour="red")
    with pytest.raises(ValueError, match="'dashed' is not a dash"):
        Line(X, X, dash="dashed")
    with pytest.raises(ValueError, match="1 notes cannot belong to 11 points"):
        Points(X, X, notes=("a",))
    with pytest.raises(ValueError, match="1 labels cannot belong to 11 points"):
        Points(X, X, labels=("a",))
    with pytest.raises(ValueError, match="needs positive limits"):
        Axis("x", log=True, limits=(0.0, 1.0))
    with pytest.raises(ValueError, match="'A b' cannot name a file"):
        Figure("A b", "", (Panel("", Axis(), Axis(), ()),))
    with pytest.raises(ValueError, match="needs at least one panel"):
        Figure("a", "", ())
