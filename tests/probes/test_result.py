"""Results as figures and as JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest

from multiace.figures import Axis, Coverage, Level, Line, Panel, Points, Ribbon
from multiace.probes import REFERENCE, ProbeResult, overlay

X = np.linspace(0.0, 1.0, 11)


def result(subject: str, zero: float, *parts: str) -> ProbeResult:
    marks = (
        Coverage(np.array([0.2, 0.3])),
        Level(1.0, "limit"),
        Ribbon(X, X - 0.1, X + 0.1, name=subject),
        Line(X, X, name=subject),
        *(Line(X, 2.0 * X, name=part) for part in parts),
        Points(X, X * X, name=REFERENCE),
    )
    energy = Axis("energy (eV)", limits=(zero - 1.0, zero + 2.0))
    panel = Panel("a scan", Axis("r (Å)"), energy, marks, zero=zero)
    alone = Panel("alone", Axis("r (Å)"), Axis("E (eV)"), (Line(X, X, name=subject),))
    return ProbeResult("body-order", subject, (), panels={"energy": panel, "alone": alone})


def test_a_name_has_one_colour_in_every_panel_and_the_reference_is_ink():
    figure = overlay([result("a", 0.0, "E1"), result("b", 5.0, "E1")])
    looks = {
        (mark.name, mark.colour)
        for panel in figure.panels
        for mark in panel.marks
        if isinstance(mark, Line | Ribbon | Points)
    }
    assert looks == {
        ("a", "series-0"),
        ("b", "series-1"),
        ("a: E1", "series-2"),
        ("b: E1", "series-3"),
        (REFERENCE, "ink"),
    }
    assert figure.name == "body_order"


def test_more_curves_than_colours_differ_in_their_dashes():
    figure = overlay([result("a", 0.0, *(f"E{k}" for k in range(1, 9)))])
    lines = [mark for mark in figure.panels[0].marks if isinstance(mark, Line)]
    assert len(lines) == 9
    assert len({(line.colour, line.dash) for line in lines}) == 9


def test_what_subjects_have_in_common_comes_once_and_the_reference_in_front():
    panel = overlay([result("a", 0.0), result("b", 5.0)]).panels[0]
    kinds = [type(mark) for mark in panel.marks]
    assert kinds == [Coverage, Level, Ribbon, Line, Ribbon, Line, Points]
    assert (panel.zero, panel.y.limits) == (0.0, (-1.0, 7.0))


def test_limits_that_differ_are_all_drawn():
    other = result("b", 0.0)
    marks = (Level(2.0, "limit"), *other.panels["energy"].marks[2:])
    other.panels["energy"] = replace(other.panels["energy"], marks=marks)
    panel = overlay([result("a", 0.0), other]).panels[0]
    assert [mark.value for mark in panel.marks if isinstance(mark, Level)] == [1.0, 2.0]


def test_json_has_the_fields_of_each_mark_without_defaults():
    content = result("a", 5.0).to_json()["panels"]["energy"]
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["x"] == {"label": "r (Å)"}
    assert content["y"] == {"label": "energy (eV)", "limits": [4.0, 7.0]}
    assert content["zero"] == 5.0
    covered, limit, _, line, _ = content["marks"]
    assert covered == {"kind": "Coverage", "values": [0.2, 0.3]}
    assert limit == {"kind": "Level", "value": 1.0, "label": "limit"}
    assert line == {"kind": "Line", "x": X.tolist(), "y": X.tolist(), "name": "a"}


def test_results_without_a_panel_are_no_figure():
    with pytest.raises(ValueError, match="needs at least one panel"):
        overlay([ProbeResult("cost", "a", ())])
