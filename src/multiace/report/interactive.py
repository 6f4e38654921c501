"""A panel as the JSON that plotly.js draws; colours stay names until the page knows its theme.

A colour is written `$name` or `$name/opacity`: `page.js` puts the value of the theme in its place.
"""

from __future__ import annotations

import base64
import html
import math
from typing import Any

import numpy as np
from jaxtyping import Float

from multiace.figures.figure import (
    COVERAGE_HEIGHT,
    Axis,
    Coverage,
    Density,
    Diagonal,
    Level,
    Line,
    Mark,
    Panel,
    Points,
    Position,
    Ribbon,
    Span,
)
from multiace.figures.labels import label_sides
from multiace.figures.limits import Limits, drawn, log_ticks

Json = dict[str, Any]

BELOW, ALONG_BOTTOM = "below", {"xref": "x", "yref": "paper"}


def plotly_panel(panel: Panel) -> Json:
    """Return `data` and `layout` of a panel.

    Example:
        >>> panel = Panel("", Axis("x (Å)"), Axis("E (meV)"), (Level(0.0, "limit"),))
        >>> plotly_panel(panel)["layout"]["yaxis"]["title"]["text"]
        'E (meV)'
    """
    panel = drawn(panel)
    layout: Json = {
        "xaxis": _axis(panel.x),
        "yaxis": _axis(panel.y),
        "shapes": [],
        "annotations": [],
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "$ink", "size": 12.5},
        "margin": {"l": 62, "r": 14, "t": 12, "b": 50},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": "$paper",
            "bordercolor": "$muted",
            "font": {"color": "$ink", "size": 12},
        },
        "dragmode": "zoom",
    }
    if panel.square:
        layout["yaxis"] |= {"scaleanchor": "x", "scaleratio": 1, "constrain": "domain"}
        layout["xaxis"] |= {"constrain": "domain"}
    data: list[Json] = []
    for mark in panel.marks:
        _ADDERS[type(mark)](mark, data, layout)
    _place_labels(panel, data)
    return {"data": data, "layout": layout, "square": panel.square}


def _place_labels(panel: Panel, data: list[Json]) -> None:
    traces = [trace for trace in data if trace.get("mode", "").startswith("markers")]
    names = {1: ("top", "right"), -1: ("bottom", "left")}
    for trace, sides in zip(traces, label_sides(panel), strict=True):
        if sides:
            trace["textposition"] = [f"{names[up][0]} {names[right][1]}" for up, right in sides]


def packed(values: Float[np.ndarray, "..."]) -> Json:
    """Return an array as plotly's typed array: base64 of float32.

    Example:
        >>> packed(np.zeros((2, 2)))
        {'dtype': 'f4', 'bdata': 'AAAAAAAAAAAAAAAAAAAAAA==', 'shape': '2, 2'}
    """
    array = np.ascontiguousarray(values, dtype="<f4")
    content: Json = {"dtype": "f4", "bdata": base64.b64encode(array.tobytes()).decode()}
    if array.ndim == 2:
        content["shape"] = f"{array.shape[0]}, {array.shape[1]}"
    return content


def _literal(text: str) -> str:
    """Return what plotly.js shows as this text: it reads tags and %{...}."""
    return html.escape(text, quote=False).replace("%{", "%&#123;")


def _hover(name: str) -> str:
    return f"{_literal(name or 'value')}: %{{y:.4~g}} at %{{x:.4~g}}<extra></extra>"


def _axis(axis: Axis) -> Json:
    content: Json = {
        "title": {
            "text": _literal(axis.label),
            "font": {"size": 12.5, "color": "$ink"},
            "standoff": 8,
        },
        "type": "log" if axis.log else "linear",
        "gridcolor": "$grid",
        "zeroline": False,
        "linecolor": "$muted",
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "$muted",
        "tickfont": {"size": 11.5, "color": "$muted"},
        "automargin": True,
        "exponentformat": "none",
        "separatethousands": True,
    }
    if axis.ticks:
        content |= {
            "tickvals": list(range(len(axis.ticks))),
            "ticktext": list(map(_literal, axis.ticks)),
        }
        content |= {"ticks": "", "tickfont": {"size": 12, "color": "$ink"}}
    assert axis.limits is not None
    if axis.log:
        ticks = log_ticks(axis.limits)
        content |= {"tickvals": list(ticks), "ticktext": list(ticks.values())}
        content["range"] = [math.log10(end) for end in axis.limits]
    else:
        content["range"] = list(axis.limits)
    return content


def _add_line(mark: Line, data: list[Json], layout: Json) -> None:
    data.append(
        {
            "type": "scatter",
            "mode": "lines+markers" if mark.markers else "lines",
            "x": packed(mark.x),
            "y": packed(mark.y),
            "name": mark.name,
            "line": {"color": f"${mark.colour}", "width": mark.width * 1.2, "dash": mark.dash},
            "marker": {"size": 6.5, "color": f"${mark.colour}"},
            "hovertemplate": _hover(mark.name),
        }
    )


def _add_points(mark: Points, data: list[Json], layout: Json) -> None:
    trace: Json = {
        "type": "scatter",
        "mode": "markers",
        "x": packed(mark.x),
        "y": packed(mark.y),
        "name": mark.name,
        "marker": {
            "size": mark.size * 1.4,
            "color": f"${mark.colour}",
            "line": {"width": 1, "color": "$paper"},
        },
        "hovertemplate": _hover(mark.name),
    }
    if mark.notes:
        trace |= {
            "hovertext": list(map(_literal, mark.notes)),
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
    if mark.labels:
        trace |= {"mode": "markers+text", "text": list(map(_literal, mark.labels))}
        trace["textfont"] = {"color": "$ink"}
    for axis, values in (("x", mark.x_error), ("y", mark.y_error)):
        if values is not None:
            style = {"color": f"${mark.colour}", "thickness": 1.4, "width": 0}
            trace[f"error_{axis}"] = {"type": "data", "array": packed(values), **style}
    data.append(trace)


def _add_ribbon(mark: Ribbon, data: list[Json], layout: Json) -> None:
    known = np.isfinite(mark.x) & np.isfinite(mark.low) & np.isfinite(mark.high)
    x, low, high = mark.x[known], mark.low[known], mark.high[known]
    data.append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": packed(np.concatenate([x, x[::-1]])),
            "y": packed(np.concatenate([high, low[::-1]])),
            "name": mark.name,
            "fill": "toself",
            "fillcolor": f"${mark.colour}/0.18",
            "line": {"width": 0, "color": f"${mark.colour}"},
            "hoverinfo": "skip",
        }
    )


def _add_density(mark: Density, data: list[Json], layout: Json) -> None:
    with np.errstate(divide="ignore"):
        heights = np.where(mark.counts > 0, np.log10(mark.counts), np.nan)
    data.append(
        {
            "type": "heatmap",
            "x": packed(mark.x_edges),
            "y": packed(mark.y_edges),
            "z": packed(heights),
            "zmin": 0.0,
            "zmax": max(float(np.nanmax(heights)), 0.5),
            "colorscale": [
                [0.0, f"${mark.colour}/0.22"],
                [0.55, f"${mark.colour}"],
                [1.0, "$ink"],
            ],
            "showscale": False,
            "hoverongaps": False,
            "hoverinfo": "skip",
        }
    )


def _add_coverage(mark: Coverage, data: list[Json], layout: Json) -> None:
    limits = _range(layout["xaxis"])
    covered = mark.within(limits)
    if not covered.size:
        return
    heights, edges = mark.histogram(limits)
    low, high = float(covered.min()), float(covered.max())
    shapes = [{"x0": low, "x1": high, "y0": 0.0, "y1": 1.0, "fillcolor": "$shade/0.28"}]
    for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
        if height > 0:
            top = COVERAGE_HEIGHT * float(height)
            place = {"x0": float(left), "x1": float(right), "y0": 0.0, "y1": top}
            shapes.append({**place, "fillcolor": "$shade"})
    layout["shapes"] += [_rectangle(shape) for shape in shapes]
    place, side = mark.label_place(limits)
    layout["annotations"].append(_text(mark.label, place, 1.0, ALONG_BOTTOM, side, "top"))


def _add_span(mark: Span, data: list[Json], layout: Json) -> None:
    place = {"x0": mark.low, "x1": mark.high, "y0": 0.0, "y1": 1.0, "fillcolor": "$shade/0.4"}
    layout["shapes"].append(_rectangle(place))
    if mark.label:
        middle = (mark.low + mark.high) / 2
        layout["annotations"].append(_text(mark.label, middle, 1.0, ALONG_BOTTOM, "center", "top"))


def _add_level(mark: Level, data: list[Json], layout: Json) -> None:
    where = {"xref": "paper", "yref": "y"}
    ends = {"x0": 0.0, "x1": 1.0, "y0": mark.value, "y1": mark.value}
    layout["shapes"].append(_line_across(where, ends))
    if mark.label:
        place = _on_axis(mark.value, layout["yaxis"])
        layout["annotations"].append(_text(mark.label, 0.98, place, where, "right", "bottom"))


def _add_position(mark: Position, data: list[Json], layout: Json) -> None:
    ends = {"x0": mark.value, "x1": mark.value, "y0": 0.0, "y1": 1.0}
    layout["shapes"].append(_line_across(ALONG_BOTTOM, ends))
    if mark.label:
        place = _on_axis(mark.value, layout["xaxis"])
        text = _text(mark.label, place, 0.98, ALONG_BOTTOM, "right", "top")
        layout["annotations"].append(text | {"textangle": -90})


def _line_across(where: Json, ends: Json) -> Json:
    line = {"color": "$muted", "width": 1.3, "dash": "dash"}
    return {"type": "line", **where, "layer": BELOW, "line": line, **ends}


def _range(axis: Json) -> Limits:
    low, high = axis["range"]
    return (10.0**low, 10.0**high) if axis["type"] == "log" else (low, high)


def _on_axis(value: float, axis: Json) -> float:
    """Return where an annotation stands: on a logarithmic axis, plotly wants the logarithm."""
    return math.log10(value) if axis["type"] == "log" else value


def _add_diagonal(mark: Diagonal, data: list[Json], layout: Json) -> None:
    line = {"color": "$muted", "width": 1.0, "dash": "dot"}
    layout["shapes"].append(
        {
            "type": "line",
            "xref": "x domain",
            "yref": "y domain",
            "layer": BELOW,
            "line": line,
            "x0": 0.0,
            "x1": 1.0,
            "y0": 0.0,
            "y1": 1.0,
        }
    )


def _rectangle(place: Json) -> Json:
    return {"type": "rect", **ALONG_BOTTOM, "layer": BELOW, "line": {"width": 0}, **place}


def _text(text: str, x: float, y: float, where: Json, xanchor: str, yanchor: str) -> Json:
    font = {"size": 11, "color": "$muted"}
    anchors = {"xanchor": xanchor, "yanchor": yanchor}
    return {
        "text": _literal(text),
        "x": x,
        "y": y,
        **where,
        **anchors,
        "showarrow": False,
        "font": font,
    }


_ADDERS: dict[type[Mark], Any] = {
    Line: _add_line,
    Points: _add_points,
    Ribbon: _add_ribbon,
    Density: _add_density,
    Coverage: _add_coverage,
    Span: _add_span,
    Level: _add_level,
    Position: _add_position,
    Diagonal: _add_diagonal,
}
