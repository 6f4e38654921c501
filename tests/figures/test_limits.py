"""Axes hold what they should, however far it spans."""

import numpy as np
import pytest

from multiace.figures import Axis, Coverage, Density, Level, Line, Panel, Points, Position, Ribbon
from multiace.figures.limits import drawn, log_ticks

X = np.linspace(0.0, 1.0, 11)
LOG, LINEAR = Axis("E (eV)", log=True), Axis("E (eV)")


def panel(*marks, y=LINEAR, **options) -> Panel:
    return drawn(Panel("", Axis("r (Å)"), y, marks, **options))


def test_everything_on_an_axis_is_drawn_from_its_zero():
    axis = Axis("E (eV)", limits=(4.0, 9.0))
    marks = (
        Line(X, 5.0 + X),
        Points(X, 5.0 + X),
        Ribbon(X, 4.5 + X, 5.5 + X),
        Density.of(5.0 + X, 5.0 + X, cells=2),
        Level(6.0),
        Position(0.5),
    )
    found = panel(*marks, y=axis, zero=5.0)
    line, points, ribbon, density, level, position = found.marks
    for mark in (line, points):
        np.testing.assert_allclose(mark.y, X)
    np.testing.assert_allclose(ribbon.low, X - 0.5)
    np.testing.assert_allclose(ribbon.high, X + 0.5)
    np.testing.assert_allclose(density.y_edges, [0.0, 0.5, 1.0])
    assert (level, position, found.y.limits) == (Level(1.0), Position(0.5), (-1.0, 4.0))
    assert drawn(found).y.limits == found.y.limits  # it is drawn as it is


@pytest.mark.parametrize(
    "mark",
    [
        Line(X, np.where(X == 0.5, 9.0, X)),
        Points(X[:1], np.array([5.0]), y_error=np.array([4.0])),
        Ribbon(X, X, 9.0 * X),
        Density(np.array([0.0, 1.0]), np.array([0.0, 9.0]), np.ones((1, 1))),
        Level(9.0),
    ],
    ids=lambda mark: type(mark).__name__,
)
def test_an_axis_holds_every_kind_of_mark(mark):
    low, high = panel(mark, Line(X, X)).y.limits
    assert low < 0.0
    assert 9.0 < high < 12.0


def test_lines_across_are_within_the_axis():
    low, high = panel(Line(X, X), Position(5.0, "cutoff")).x.limits
    assert low < 0.0 < 5.0 < high < 5.5


def test_curves_that_run_away_leave_an_axis_that_follows_another():
    follows = Axis("E (eV)", follows="reference")
    curves = Line(X, -100.0 * X, name="a"), Line(X, 1.2 * X, name="b")
    low, high = panel(*curves, Points(X, X, name="reference"), y=follows).y.limits
    assert low == pytest.approx(-0.5 - 0.05 * 1.7)
    assert high == pytest.approx(1.2 + 0.05 * 1.7)
    held = panel(*curves, Points(X, X, name="reference"), Level(7.0), y=follows).y.limits
    assert held[1] > 7.0


def test_an_axis_whose_leader_is_all_gaps_holds_everything():
    gaps = Points(X, np.full(11, np.nan), name="reference")
    low, high = panel(Line(X, X), gaps, y=Axis("", follows="reference")).y.limits
    assert (low, high) == pytest.approx((-0.05, 1.05))


def test_zeros_and_gaps_of_a_logarithmic_axis_are_left_out():
    values = np.array([1e-16, 0.0, np.nan, -1.0, 10.0])
    found = panel(Line(X[:5], values), Level(0.0, "limit"), Level(1.0), y=LOG)
    line, level = found.marks
    np.testing.assert_array_equal(np.isnan(line.y), [False, True, True, True, False])
    assert level == Level(1.0)
    low, high = found.y.limits
    assert 1e-18 < low < 1e-16
    assert 10.0 < high < 1e3


@pytest.mark.parametrize("values", [[2.0, 2.0], [2.0, 2.1], [0.0, 0.0], [np.nan, np.nan]])
def test_a_logarithmic_axis_spans_a_factor_of_four_at_least_and_has_ticks(values):
    limits = panel(Line(X[:2], np.array(values)), y=LOG).y.limits
    assert limits[1] / limits[0] >= 4.0 * (1.0 - 1e-12)
    assert log_ticks(limits)


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-9])
def test_equal_values_stand_in_the_middle(value):
    low, high = panel(Line(X, np.full(11, value))).y.limits
    assert low < value < high
    assert (low + high) / 2 == pytest.approx(value)


@pytest.mark.parametrize("decades", [0.6, 1.0, 3.0, 5.0, 9.0, 17.0, 40.0])
@pytest.mark.parametrize("start", [1e-16, 0.03, 7.0])
def test_ticks_of_a_logarithmic_axis_are_few_and_within_it(start, decades):
    ticks = log_ticks((start, start * 10.0**decades))
    assert 1 <= len(ticks) <= 12
    assert all(start <= place <= start * 10.0**decades for place in ticks)
    assert len(set(ticks.values())) == len(ticks)


def test_a_square_panel_has_the_same_limits_on_both_axes():
    found = panel(Points(X, 3.0 * X), square=True)
    assert found.x.limits == found.y.limits
    assert found.y.limits[1] > 3.0


def test_room_is_left_for_the_histogram_and_its_label():
    low, high = panel(Line(X, X), Coverage(X)).y.limits
    assert (low, high) == pytest.approx((-0.2, 1.15))


def test_an_axis_of_categories_has_half_a_step_around_them():
    found = drawn(Panel("", Axis(ticks=("H", "O")), LINEAR, (Points(X[:2], X[:2]),)))
    assert found.x.limits == (-0.5, 1.5)
