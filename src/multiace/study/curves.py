"""Figures of a study with a line for each cell: learning curves, and energies along scans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiace.figures.figure import Mark
from multiace.figures.palette import N_SERIES
from multiace.report import Axis, Figure, Line, Panel, Ribbon, series_colour, series_dash
from multiace.study.evaluate import paths_of, read
from multiace.study.results import Results


@dataclass(frozen=True)
class Look:
    """How the line of a cell is drawn.

    Args:
        name: in the legend; cells of one name are shown and hidden together.
        colour: name of a colour.
        dash: name of a dash.
    """

    name: str
    colour: str
    dash: str


def looks(results: Results, domain: str) -> dict[str, Look]:
    """Return how the line of each cell is drawn.

    Few cells, and those that differ from a first one in steps, have a colour each. More cells are
    coloured by their level of the factor whose effect is the largest, and dashed by their level of
    the next one, so that what matters is seen.

    Args:
        results: of the study.
        domain: of the response whose effects are meant.
    """
    if not _are_grouped(results):
        return {
            cell: Look(cell, series_colour(k), series_dash(k))
            for k, cell in enumerate(results.cells)
        }
    leading = _leading_factors(results, domain)[:2]
    words = [level for factor in leading for level in results.factors[factor].levels]
    found = {}
    for cell in results.cells:
        levels = results.of_cell(cell)[0].levels
        names = [results.factors[factor].levels[levels[factor]] for factor in leading]
        if len(set(words)) < len(words):  # a word alone could mean either factor
            names = [f"{results.factors[f].name}: {n}" for f, n in zip(leading, names, strict=True)]
        dash = series_dash(N_SERIES * levels[leading[1]]) if len(leading) > 1 else "solid"
        found[cell] = Look(", ".join(names), series_colour(levels[leading[0]]), dash)
    return found


def _are_grouped(results: Results) -> bool:
    """Whether cells are coloured by their levels, and not each for itself."""
    in_steps = results.config.plan.kind in ("path", "one-at-a-time")
    return len(results.cells) > N_SERIES and not in_steps


def _key(results: Results, domain: str) -> str:
    """Say what colours and dashes mean where the legend does not."""
    if not _are_grouped(results):
        return ""
    names = [results.factors[factor].name for factor in _leading_factors(results, domain)[:2]]
    kinds = ("Colours", "dashes")[: len(names)]
    return " " + "; ".join(f"{k}: {n}" for k, n in zip(kinds, names, strict=True)) + "."


def _leading_factors(results: Results, domain: str) -> list[int]:
    """Return the factors by the size of their largest effect, or in their order without any."""
    largest = [0.0] * len(results.factors)
    for response, fit in zip(results.responses, results.fits, strict=False):
        if response.domain == domain:
            for effect in fit.effects:
                largest[effect.factor] = max(largest[effect.factor], abs(effect.estimate))
    return sorted(range(len(largest)), key=lambda factor: -largest[factor])


def learning_curves(results: Results) -> list[Figure]:
    """Return validation errors over epochs: geometric means over seeds."""
    marks: list[Mark] = []
    of_cells = looks(results, "in_domain")
    crowded = len(results.cells) > N_SERIES
    for cell, look in of_cells.items():
        runs = [np.array(o.curve) for o in results.of_cell(cell) if o.curve]
        n = min((len(run) for run in runs), default=0)
        if n < 2:
            continue
        epochs, errors = runs[0][:n, 0], np.array([run[:n, 2] for run in runs])
        if len(runs) > 1 and not crowded:
            low, high = errors.min(axis=0), errors.max(axis=0)
            marks.append(Ribbon(epochs, low, high, look.colour, look.name))
        mean = np.exp(np.log(errors).mean(axis=0))
        width = 1.2 if crowded else 1.8
        marks.append(Line(epochs, mean, look.name, look.colour, look.dash, width))
    if not marks:
        return []
    panel = Panel("", Axis("epoch"), Axis("validation error (meV/Å)", log=True), tuple(marks))
    caption = "Geometric mean over seeds" + ("." if crowded else ", and their range.")
    caption += _key(results, "in_domain")
    return [Figure("learning", "Learning curves", (panel,), caption)]


def scans(results: Results) -> list[Figure]:
    """Return energies along scans, of all cells and the reference."""
    panels: list[Panel] = []
    for name, content in results.evaluations.items():
        if content["domain"] == "scan":
            panels += _scan_panels(results, name)
    caption = (
        "Energies from the lowest reference energy, or from the far end of model and reference "
        "where the axis says so; a line for each cell, the mean of its seeds. Curves that run "
        "away leave the panel." + _key(results, "scan")
    )
    columns = 1 if len(panels) < 2 else 2
    return [Figure("scans", "Scans", tuple(panels), caption, columns=columns)] if panels else []


def _scan_panels(results: Results, name: str) -> list[Panel]:
    """Return a panel for each path of a scan that has a reference."""
    content = results.evaluations[name]
    structures = read(content)
    reference = np.array([s.labels.energy for s in structures], dtype=np.float64)
    means = {
        cell: np.mean([o.energies[name] for o in outcomes], axis=0)
        for cell in results.cells
        if (outcomes := [o for o in results.of_cell(cell) if name in o.energies])
    }
    of_cells = looks(results, "scan")
    panels = []
    for path in paths_of(structures, content["coordinate"] or ()):
        expected = reference[path.members]
        if not np.isfinite(expected).all():
            continue
        lowest = float(expected.min()) if content["zero"] == "absolute" else 0.0
        expected = expected - path.zero(reference, content["zero"]) - lowest
        curves = {}
        for cell, mean in means.items():
            curves[cell] = mean[path.members] - path.zero(mean, content["zero"]) - lowest
        marks: list[Mark] = [
            Line(path.coordinate, curve, look.name, look.colour, look.dash, 1.3)
            for cell, curve in curves.items()
            for look in (of_cells[cell],)
        ]
        marks.append(Line(path.coordinate, expected, name="reference", width=2.4))
        label = "energy (eV)" if content["zero"] == "absolute" else "energy − far end (eV)"
        y = Axis(label, follows="reference")
        title = ": ".join(filter(None, (name, path.name)))
        panels.append(Panel(title, Axis(path.label), y, tuple(marks)))
    return panels
