"""Figures of pages: what plotly is given is valid and complete."""

import base64
import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from multiace.figures.limits import drawn
from multiace.figures.palette import DARK, LIGHT
from multiace.report import (
    Axis,
    Coverage,
    Density,
    Level,
    Line,
    Panel,
    Points,
    Position,
    Ribbon,
)
from multiace.report.interactive import plotly_panel

from .sample import learning, parity, scan

FIGURES = (learning(), parity(), scan())
PANELS = [panel for figure in FIGURES for panel in figure.panels]
X = np.array([0.5, 2.0])


def unpacked(content: dict) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(content["bdata"]), dtype=content["dtype"])
    return values.reshape([int(n) for n in content.get("shape", str(len(values))).split(",")])


def test_names_are_shown_as_they_are():
    name = "<b>&%{y}"
    axis = Axis(name, limits=(0.0, 1.0), ticks=(name, "b"))
    marks = (Line(X, X, name), Level(1.0, name), Points(X, X, labels=(name, name)))
    drawing = plotly_panel(drawn(Panel("t", axis, Axis("y"), marks)))
    for trace in drawing["data"]:
        del trace["name"]  # of the page's own legend
    shown = json.dumps(drawing)
    assert "<b>" not in shown
    assert "&lt;b&gt;&amp;%&#123;y}" in shown
    assert shown.count("%{y") == shown.count("%{y:.4~g}") == 2  # of the values


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


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_axes_end_where_they_do_in_files(panel):
    layout, expected = plotly_panel(panel)["layout"], drawn(panel)
    for axis, found in ((expected.x, layout["xaxis"]), (expected.y, layout["yaxis"])):
        limits = np.log10(axis.limits) if axis.log else axis.limits
        np.testing.assert_allclose(found["range"], limits)


def test_labels_stand_beside_their_dots_at_corners_that_are_free():
    points = Points(X, 2.0 * X, notes=("a", "b"), labels=("c", "longer"))
    (trace,) = plotly_panel(Panel("", Axis(), Axis(), (points,)))["data"]
    assert (trace["hovertext"], trace["text"]) == (["a", "b"], ["c", "longer"])
    assert trace["textposition"] == ["top right", "top left"]  # the second is at the right end


def test_values_reach_plotly_as_they_are():
    x, y = np.array([0.5, 2.0]), np.array([-1.0, 4096.25])
    (trace,) = plotly_panel(Panel("", Axis(), Axis(), (Line(x, y),)))["data"]
    assert unpacked(trace["x"]).tolist() == x.tolist()
    assert unpacked(trace["y"]).tolist() == y.tolist()


def test_large_energies_lose_nothing_to_single_precision_after_their_zero():
    y = np.array([-123456.0, -123455.9375])
    (trace,) = plotly_panel(Panel("", Axis(), Axis(), (Line(X, y),), zero=-123456.0))["data"]
    assert unpacked(trace["y"]).tolist() == [0.0, 0.0625]


def test_a_density_leaves_empty_cells_out():
    x = np.random.default_rng(0).normal(size=500)
    density = Density.of(x, 2.0 * x, cells=20)
    (trace,) = plotly_panel(Panel("", Axis(), Axis(), (density,)))["data"]
    heights = unpacked(trace["z"])
    assert heights.shape == (20, 20)
    np.testing.assert_array_equal(np.isnan(heights), density.counts == 0)
    np.testing.assert_allclose(np.nansum(10.0**heights), 500, rtol=1e-5)


def test_a_band_leaves_out_what_is_not_known():
    low, high = np.array([0.0, np.nan, 1.0]), np.array([1.0, 2.0, 3.0])
    (trace,) = plotly_panel(Panel("", Axis(), Axis(), (Ribbon(np.arange(3.0), low, high),)))["data"]
    assert unpacked(trace["x"]).tolist() == [0.0, 2.0, 2.0, 0.0]
    assert unpacked(trace["y"]).tolist() == [1.0, 3.0, 1.0, 0.0]


def test_lines_across_a_logarithmic_panel_have_their_names_beside_them():
    axis = Axis("x", log=True, limits=(10.0, 1000.0))
    marks = (Level(100.0, "limit"), Position(20.0, "cutoff"))
    layout = plotly_panel(Panel("", axis, axis, marks))["layout"]
    assert layout["xaxis"]["range"] == [1.0, 3.0]
    level, position = layout["shapes"]
    assert (level["y0"], level["y1"], position["x0"], position["x1"]) == (100.0, 100.0, 20.0, 20.0)
    names = {text["text"]: text for text in layout["annotations"]}
    assert (names["limit"]["y"], names["cutoff"]["x"]) == pytest.approx((2.0, np.log10(20.0)))


def test_what_was_trained_on_is_shaded_from_its_first_value_to_its_last():
    axis = Axis(limits=(0.0, 6.0))
    panel = Panel("", axis, Axis(), (Coverage(np.array([1.0, 2.0, 4.0, 9.0]), cells=6),))
    shaded, *bars = plotly_panel(panel)["layout"]["shapes"]
    assert (shaded["x0"], shaded["x1"]) == (1.0, 4.0)
    assert [bar["x0"] for bar in bars] == [1.0, 2.0, 4.0]
    assert max(bar["y1"] for bar in bars) < 0.2
    beyond = Panel("", axis, Axis(), (Coverage(np.array([9.0])),))
    assert plotly_panel(beyond)["layout"]["shapes"] == []
