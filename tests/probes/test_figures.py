"""Figures: every panel is drawn, in every theme, with what it must show."""

import numpy as np
import pytest

from multiace.probes import Mark, Panel, Series
from multiace.probes.figures import draw, figure

X = np.linspace(0.0, 1.0, 11)
PANEL = Panel(
    name="energy",
    title="a scan",
    x_label="r (Å)",
    y_label="energy (eV)",
    series=(
        Series("model", X, 5.0 + 100.0 * X, spread=0.1 * X),
        Series("reference", X, 5.0 + X, role="reference", style="points"),
    ),
    marks=(Mark("y", 6.0, "limit"), Mark("x", 0.5, "cutoff")),
    sample=np.array([0.2, 0.3, 0.3]),
    zero=5.0,
    follow=("reference",),
)


@pytest.mark.parametrize(("theme", "suffix"), [("light", "png"), ("dark", "svg"), ("print", "pdf")])
def test_a_file_is_written(theme, suffix, tmp_path):
    path = tmp_path / f"figure.{suffix}"
    draw(path, [PANEL], theme)
    assert path.stat().st_size > 5000


def test_four_panels_are_three_in_a_row_and_one_below():
    rows = {round(axes.get_subplotspec().rowspan.start) for axes in figure([PANEL] * 4).axes}
    assert rows == {0, 1}


def test_curves_have_the_common_zero_and_those_that_run_away_leave_the_axes():
    (axes,) = figure([PANEL]).axes
    low, high = axes.get_ylim()
    assert low < 0.0 < 1.0 < high < 3.0
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 100.0 * X)
    assert {text.get_text() for text in axes.texts} == {"limit", "cutoff"}
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["model", "reference", "training data"]


def test_a_figure_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one panel"):
        figure([])
