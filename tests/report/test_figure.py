"""Figures: what plotly is given is valid and complete, and files are images of it."""

import base64
import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure as Canvas

from multiace.figures.palette import DARK, LIGHT
from multiace.figures.static import _legend_columns, draw_panel, save_figure
from multiace.report import Axis, Coverage, Density, Figure, Level, Line, Panel, Points
from multiace.report.interactive import plotly_panel

from .sample import learning, parity, scan

FIGURES = (learning(), parity(), scan())
PANELS = [panel for figure in FIGURES for panel in figure.panels]


def unpacked(content: dict) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(content["bdata"]), dtype=content["dtype"])
    return values.reshape([int(n) for n in content.get("shape", str(len(values))).split(",")])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_plotly_accepts_every_panel_in_both_themes(panel, theme):
    def colour(match: re.Match) -> str:
        return f'"{theme[match[1]]}"'

    text = json.dumps(plotly_panel(panel), allow_nan=False)
    content = json.loads(re.sub(r'"\$([a-z0-9-]+)(?:/[\d.]+)?"', colour, text))
    assert "$" not in json.dumps(content)
    figure = go.Figure(content["data"], content["layout"])
    assert figure.layout.yaxis.title.text == panel.y.label


def test_labels_stand_beside_their_dots_in_pages_and_files():
    x = np.array([0.5, 2.0])
    panel = Panel("", Axis(), Axis(), (Points(x, 2.0 * x, notes=("a", "b"), labels=("c", "d")),))
    (trace,) = plotly_panel(panel)["data"]
    assert (trace["hovertext"], trace["text"]) == (["a", "b"], ["c", "d"])
    axes = Canvas().subplots()
    draw_panel(axes, panel)
    assert [(text.get_text(), text.xy) for text in axes.texts] == [
        ("c", (0.5, 1.0)),
        ("d", (2.0, 4.0)),
    ]
    with pytest.raises(ValueError, match="1 labels cannot belong to 2 points"):
        Points(x, x, labels=("a",))


@pytest.mark.parametrize("length", [6, 60])
def test_a_legend_has_as_many_columns_as_its_names_leave_room_for(length):
    x = np.array([0.0, 1.0])
    lines = tuple(Line(x, x, name=f"{k}" * length, colour=f"series-{k}") for k in range(4))
    assert _legend_columns(lines, 7.0) == {6: 4, 60: 1}[length]


def test_values_reach_plotly_as_they_are():
    x, y = np.array([0.5, 2.0]), np.array([-1.0, 4096.25])
    (trace,) = plotly_panel(Panel("", Axis(), Axis(), (Line(x, y),)))["data"]
    assert unpacked(trace["x"]).tolist() == x.tolist()
    assert unpacked(trace["y"]).tolist() == y.tolist()


def test_a_density_counts_every_event_and_leaves_empty_cells_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    density = Density.of(x, 2.0 * x, cells=20)
    assert density.counts.sum() == 500
    (trace,) = plotly_panel(Panel("", Axis(), Axis(), (density,)))["data"]
    heights = unpacked(trace["z"])
    assert heights.shape == (20, 20)
    np.testing.assert_array_equal(np.isnan(heights), density.counts == 0)
    np.testing.assert_allclose(np.nansum(10.0**heights), 500, rtol=1e-5)
    row, column = np.argwhere(density.counts > 0)[0]
    inside = (x >= density.x_edges[column]) & (x <= density.x_edges[column + 1])
    assert inside.any()
    assert (2.0 * x[inside] >= density.y_edges[row]).any()


def test_one_event_and_equal_values_make_a_density():
    density = Density.of(np.array([3.0]), np.array([3.0]))
    assert density.counts.sum() == 1


def test_limits_of_a_logarithmic_axis_are_those_of_its_values():
    panel = Panel("", Axis("x", log=True, limits=(10.0, 1000.0)), Axis(), (Level(1.0),))
    assert plotly_panel(panel)["layout"]["xaxis"]["range"] == [1.0, 3.0]
    with pytest.raises(ValueError, match="needs positive limits"):
        Axis("x", log=True, limits=(0.0, 1.0))


def test_what_was_trained_on_is_shaded_from_its_first_value_to_its_last():
    panel = Panel("", Axis(), Axis(), (Coverage(np.array([1.0, 2.0, 4.0]), cells=3),))
    shaded, *bars = plotly_panel(panel)["layout"]["shapes"]
    assert (shaded["x0"], shaded["x1"]) == (1.0, 4.0)
    assert [bar["x0"] for bar in bars] == [1.0, 2.0, 3.0]
    assert max(bar["y1"] for bar in bars) < 0.2


def test_the_same_figure_is_the_same_file(tmp_path):
    png, svg = save_figure(scan(), tmp_path)
    before = png.read_bytes(), svg.read_bytes()
    save_figure(scan(), tmp_path)
    assert (png.read_bytes(), svg.read_bytes()) == before


def test_the_legend_has_each_name_once():
    assert [mark.name for mark in learning().legend] == ["NequIP", "BOTNet", "MACE"]


def test_mistakes_are_refused_with_what_is_possible():
    x = np.zeros(2)
    with pytest.raises(ValueError, match="'red' is not a colour of figures. Use one of ink"):
        Line(x, x, colour="red")
    with pytest.raises(ValueError, match="'dashed' is not a dash"):
        Line(x, x, dash="dashed")
    with pytest.raises(ValueError, match="1 notes cannot belong to 2 points"):
        Points(x, x, notes=("a",))
    with pytest.raises(ValueError, match="'A b' cannot name a file"):
        Figure("A b", "", (PANELS[0],))
    with pytest.raises(ValueError, match="needs at least one panel"):
        Figure("a", "", ())
