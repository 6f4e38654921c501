"""Files of figures: every mark is drawn, in every theme."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from multiace.figures import (
    Axis,
    Coverage,
    Density,
    Diagonal,
    Figure,
    Level,
    Line,
    Panel,
    Points,
    Position,
    Ribbon,
    Span,
)
from multiace.figures.palette import THEMES
from multiace.figures.static import _legend_columns, draw_figure, save_figure

X = np.linspace(0.0, 1.0, 11)
MARKS = (
    Coverage(np.array([0.2, 0.3, 0.3])),
    Span(0.6, 0.8, "barrier"),
    Level(6.0, "limit"),
    Position(0.5, "cutoff"),
    Ribbon(X, 4.9 + X, 5.1 + X, colour="series-0", name="model"),
    Line(X, 5.0 + X, colour="series-0", name="model"),
    Points(X, 5.0 + X * X, name="reference"),
)
SCAN = Panel("a scan", Axis("r (Å)"), Axis("energy (eV)"), MARKS, zero=5.0)
PARITY = Panel("", Axis("a"), Axis("b"), (Diagonal(), Density.of(X, X, cells=4)), square=True)
FIGURE = Figure("scan", "Scan", (SCAN, PARITY))
SIGNATURES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("theme", THEMES)
def test_the_suffix_of_a_file_says_what_it_is(theme, tmp_path):
    paths = {suffix: tmp_path / f"figure.{suffix}" for suffix in SIGNATURES}
    save_figure(FIGURE, *paths.values(), theme=theme)
    for suffix, path in paths.items():
        assert path.read_bytes().startswith(SIGNATURES[suffix])
        assert path.stat().st_size > 5000


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_the_same_figure_is_the_same_file(suffix, tmp_path):
    one, two = (tmp_path / f"{name}.{suffix}" for name in ("one", "two"))
    save_figure(FIGURE, one)
    save_figure(FIGURE, two)
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme_colours_ground_text_and_curves(theme):
    canvas, colours = draw_figure(FIGURE, theme), THEMES[theme]
    axes = canvas.axes[0]
    assert to_hex(canvas.get_facecolor()) == to_hex(axes.get_facecolor()) == colours["paper"]
    assert axes.xaxis.label.get_color() == axes.title.get_color() == colours["ink"]
    assert colours["series-0"] in {line.get_color() for line in axes.lines}
    assert {text.get_color() for text in axes.texts} == {colours["muted"]}
    assert canvas.legends[0].get_texts()[0].get_color() == colours["ink"]


def test_names_of_lines_and_ranges_are_written():
    axes = draw_figure(FIGURE).axes[0]
    names = {text.get_text() for text in axes.texts}
    assert names == {"training data", "barrier", "limit", "cutoff"}


def test_curves_and_limits_are_drawn_from_the_zero():
    axes = draw_figure(FIGURE).axes[0]
    (curve,) = (line for line in axes.lines if line.get_color() == THEMES["light"]["series-0"])
    np.testing.assert_allclose(curve.get_ydata(), X)
    assert -1.0 < axes.get_ylim()[0] < 0.0 < 1.0 < axes.get_ylim()[1] < 2.0


def test_data_beyond_the_axis_are_not_drawn():
    marks = (Coverage(np.array([5.0, 6.0])), Line(X, X))
    axes = draw_figure(Figure("a", "", (Panel("", Axis(), Axis(), marks),))).axes[0]
    assert (len(axes.texts), len(axes.patches)) == (0, 0)
    assert axes.get_xlim()[1] < 2.0


def test_seventeen_decades_have_ticks_that_can_be_read():
    line = Line(np.arange(6.0), 10.0 ** np.linspace(-16.0, 1.0, 6))
    panel = Panel("", Axis("n"), Axis("max |Vₙ| (eV)", log=True), (line,))
    canvas = draw_figure(Figure("a", "", (panel,)))
    canvas.draw_without_rendering()
    (axes,) = canvas.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["10⁻¹⁵", "10⁻¹²", "10⁻⁹", "10⁻⁶", "10⁻³", "10⁰"]
    heights = [label.get_window_extent().bounds for label in axes.get_yticklabels()]
    below = [bottom + height for _, bottom, _, height in heights]
    assert all(top < other[1] for top, other in zip(below, heights[1:], strict=False))


def test_four_panels_are_three_in_a_row_and_one_below():
    canvas = draw_figure(Figure("a", "", (SCAN,) * 4))
    rows = [axes.get_subplotspec().rowspan.start for axes in canvas.axes if axes.get_visible()]
    assert rows == [0, 0, 0, 1]


@pytest.mark.parametrize("length", [6, 60])
def test_a_legend_has_as_many_columns_as_its_names_leave_room_for(length):
    lines = tuple(Line(X, X, name=f"{k}" * length, colour=f"series-{k}") for k in range(4))
    assert _legend_columns(lines, 7.0) == {6: 4, 60: 1}[length]


def test_every_name_of_a_long_legend_stands_above_the_panels():
    lines = tuple(Line(X, X, name=f"curve number {k}", dash="dash") for k in range(24))
    canvas = draw_figure(Figure("a", "", (Panel("", Axis(), Axis(), lines),)))
    canvas.draw_without_rendering()
    legend, (axes,) = canvas.legends[0], canvas.axes
    assert len(legend.get_texts()) == 24
    assert legend.get_window_extent().y0 >= axes.get_window_extent().y1
    assert axes.get_window_extent().height > 150.0
