"""The figures of a report on runs; each returns None where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float64

from multiace.analysis import ErrorRow
from multiace.analysis.errors import Group
from multiace.elements import symbol_of
from multiace.figures.figure import (
    Axis,
    Coverage,
    Density,
    Diagonal,
    Figure,
    Level,
    Line,
    Mark,
    Panel,
    Points,
    Span,
)
from multiace.figures.palette import N_SERIES, series_colour, series_dash
from multiace.geometry import Structure
from multiace.report.runs.evidence import VALIDATION, Evaluated, Evidence, ScanResult
from multiace.units import MEV

DENSE = 1500
"""Above so many points a parity plot is a density."""

LARGE = 2000.0
"""Energies along a scan that reach further than this, meV, are drawn in eV."""

Values = Float64[np.ndarray, " _"]


def learning_curves(evidence: Evidence) -> Figure | None:
    """Return validation errors against epochs and against time."""
    wanted = (
        ("forces", "force RMSE (meV/Å)", "epoch"),
        ("forces", "force RMSE (meV/Å)", "training time (s)"),
        ("energy_per_atom", "energy RMSE (meV/atom)", "epoch"),
    )
    panels = []
    for quantity, label, against in wanted:
        lines = tuple(_learning_lines(evidence, quantity, against))
        if lines:
            title = "Forces" if quantity == "forces" else "Energy"
            title += " by the clock" if against != "epoch" else ""
            panels.append(Panel(title, Axis(against), Axis(label, log=True), lines))
    if not panels:
        return None
    caption = "Errors on the validation set after each epoch."
    return Figure("learning_curves", "Learning curves", tuple(panels), caption)


def _learning_lines(evidence: Evidence, quantity: str, against: str) -> Iterable[Line]:
    for index, run in enumerate(evidence.runs):
        records = [record for record in run.history if quantity in record.rmse]
        if not records:
            continue
        yield Line(
            np.array([r.epoch + 1.0 if against == "epoch" else r.seconds for r in records]),
            np.array([record.rmse[quantity] for record in records]),
            name=run.name,
            colour=series_colour(index),
            dash=series_dash(index),
        )


def domain_errors(evidence: Evidence) -> Figure | None:
    """Return errors from the validation set, which is in domain, to each test set."""
    if not evidence.tests:
        return None
    names = (VALIDATION, *evidence.tests)
    panels = []
    for quantity, title, label in (
        ("energy_per_atom", "Energy", "RMSE (meV/atom)"),
        ("forces", "Forces", "RMSE (meV/Å)"),
    ):
        lines = []
        for index, run in enumerate(evidence.runs):
            sets = [evidence.validation, *evidence.tests.values()]
            errors = [_rmse(of_runs.get(run.name), quantity) for of_runs in sets]
            there = np.array([error is not None for error in errors])
            if there.any():
                lines.append(
                    Line(
                        np.arange(len(names), dtype=np.float64)[there],
                        np.array([error for error in errors if error is not None]),
                        name=run.name,
                        colour=series_colour(index),
                        dash=series_dash(index),
                        markers=True,
                    )
                )
        if lines:
            marks: tuple[Mark, ...] = (Span(-0.4, 0.4, "as trained"), *lines)
            panels.append(Panel(title, Axis(ticks=names), Axis(label, log=True), marks))
    caption = (
        "The validation set was drawn from where the training data come from, or given beside "
        "them; the test sets follow in the order of the configs."
    )
    if not panels:
        return None
    return Figure("domain_errors", "In and out of domain", tuple(panels), caption, columns=2)


def _rmse(evaluated: Evaluated | None, quantity: str) -> float | None:
    if evaluated is None:
        return None
    deviation = getattr(evaluated.errors.total, quantity)
    return None if deviation is None or deviation.rmse == 0.0 else deviation.rmse / MEV


def parity(evidence: Evidence) -> list[Figure]:
    """Return predicted against reference forces and energies; one figure where there is one run."""
    forces, energies = [], []
    for index, run in enumerate(evidence.runs):
        evaluated = evidence.tested(run.name)
        alone = len(evidence.runs) == 1
        for panels, title, unit, pairs in (
            (forces, "Forces", "meV/Å", _force_pairs(evaluated)),
            (energies, "Energies", "meV/atom", _energy_pairs(evidence, evaluated)),
        ):
            if pairs is not None:
                axes = Axis(f"reference ({unit})"), Axis(f"predicted ({unit})")
                marks = (Diagonal(), _cloud(*pairs, index))
                panels.append(Panel(title if alone else run.name, *axes, marks, square=True))
    of_forces = "Force components; stronger colour where there are more, on a logarithmic scale."
    of_energies = "Energies per atom above the lowest reference, after E0 where it is known."
    tested = _tested(evidence)
    if len(evidence.runs) == 1:
        both = tuple(forces + energies)
        caption = f"{tested} {of_forces} {of_energies}"
        return [Figure("parity", "Predicted and reference", both, caption)] if both else []
    figures = []
    for name, panels, text in (("forces", forces, of_forces), ("energies", energies, of_energies)):
        if panels:
            title = f"Predicted and reference {name}"
            columns, caption = 4 if len(panels) == 4 else 3, f"{tested} {text}"
            figures.append(Figure(f"{name}_parity", title, tuple(panels), caption, columns=columns))
    return figures


def _force_pairs(evaluated: Evaluated) -> tuple[Values, Values] | None:
    """Return reference and predicted force components, meV/Å."""
    pairs = [
        (s.labels.forces.ravel(), p.forces.ravel())
        for s, p in zip(evaluated.structures, evaluated.predictions, strict=True)
        if s.labels.forces is not None and p.forces is not None
    ]
    if not pairs:
        return None
    reference, predicted = (np.concatenate(part) / MEV for part in zip(*pairs, strict=True))
    return reference, predicted


def _energy_pairs(evidence: Evidence, evaluated: Evaluated) -> tuple[Values, Values] | None:
    """Return reference and predicted energies per atom above the lowest reference, meV/atom."""
    pairs = [
        (s.labels.energy - _atoms(evidence, s), p.energy - s.labels.energy, s.n_atoms)
        for s, p in zip(evaluated.structures, evaluated.predictions, strict=True)
        if s.labels.energy is not None and p.energy is not None
    ]
    if not pairs:
        return None
    energies, errors, n_atoms = np.array(pairs, dtype=np.float64).T
    reference = energies / n_atoms / MEV
    reference -= reference.min()
    return reference, reference + errors / n_atoms / MEV


def _tested(evidence: Evidence) -> str:
    if not evidence.tests:
        return "The validation set."
    return f"Test sets: {', '.join(evidence.tests)}."


def _atoms(evidence: Evidence, structure: Structure) -> float:
    """Return the energy of the isolated atoms of a structure, 0 if one of them is not known, eV."""
    energies = evidence.atomic_energies
    symbols = [symbol_of(number) for number in structure.numbers.tolist()]
    return sum(energies[s] for s in symbols) if set(symbols) <= set(energies) else 0.0


def _cloud(reference: Values, predicted: Values, index: int) -> Mark:
    colour = series_colour(index)
    if len(reference) > DENSE:
        return Density.of(reference, predicted, colour=colour)
    return Points(reference, predicted, colour=colour, size=3.5)


def group_errors(evidence: Evidence) -> Figure | None:
    """Return force errors by element, and errors by kind of configuration where there are some."""
    tables = {run.name: evidence.tested(run.name).errors for run in evidence.runs}
    panels = []
    wanted: tuple[tuple[Group, str, str, str], ...] = (
        ("element", "forces", "Forces by element", "RMSE (meV/Å)"),
        ("config_type", "forces", "Forces by kind of configuration", "RMSE (meV/Å)"),
        ("config_type", "energy_per_atom", "Energy by kind of configuration", "RMSE (meV/atom)"),
    )
    for group, quantity, title, label in wanted:
        rows = {name: table.by(group) for name, table in tables.items()}
        names = list(dict.fromkeys(name for of_run in rows.values() for name in of_run))
        if len(names) < 2:
            continue
        points = [
            _group_points(names, of_run, quantity, index, len(rows), run)
            for index, (run, of_run) in enumerate(rows.items())
        ]
        if any(len(mark.x) for mark in points):
            ticks = tuple(name or "(none)" for name in names)
            axes = Axis(label, log=True), Axis(ticks=ticks)
            panels.append(Panel(title, *axes, tuple(points)))
    if not panels:
        return None
    longest = max(len(panel.y.ticks) for panel in panels)
    height = max(0.8, 0.25 + 0.075 * longest)
    caption = f"{_tested(evidence)} Energies belong to whole structures, not to elements."
    return Figure("group_errors", "Errors by group", tuple(panels), caption, height=height)


def _group_points(
    names: Sequence[str],
    rows: dict[str, ErrorRow],
    quantity: str,
    index: int,
    n_runs: int,
    run: str,
) -> Points:
    found = [
        (place, deviation.rmse / MEV)
        for place, name in enumerate(names)
        if name in rows and (deviation := getattr(rows[name], quantity)) and deviation.rmse > 0.0
    ]
    values = np.array(found, dtype=np.float64).reshape(-1, 2)
    apart = 0.5 * ((index + 0.5) / n_runs - 0.5)
    colour = series_colour(index)
    return Points(values[:, 1], values[:, 0] + apart, name=run, colour=colour, size=6.0)


def scan_energies(evidence: Evidence) -> Figure | None:
    """Return the energies along each scan over what was trained on."""
    panels = tuple(_scan_panel(evidence, result) for result in evidence.scans)
    if not panels:
        return None
    caption = (
        "Energies above the lowest reference, models and reference with one zero. Shaded: the "
        "range of the training data along the coordinate, with their histogram."
    )
    return Figure("scans", "Scans against the reference", panels, caption)


def _scan_panel(evidence: Evidence, result: ScanResult) -> Panel:
    scan = result.scan
    order = np.argsort(scan.values, kind="stable")
    x, zero = scan.values[order], scan.energies.min()
    limit, limit_label = scan_limit(evidence, result)
    reach = max(np.ptp(scan.energies), 0.0 if limit is None else limit - zero)
    unit, size = ("meV", MEV) if reach < LARGE * MEV else ("eV", 1.0)
    reference = (scan.energies[order] - zero) / size
    marks: list[Mark] = []
    covered = _covered(evidence, result, x)
    if len(covered):
        marks.append(Coverage(covered))
    if limit is not None:
        marks.append(Level((limit - zero) / size, limit_label))
    curves = {name: (energies[order] - zero) / size for name, energies in result.energies.items()}
    for index, run in enumerate(evidence.runs):
        if run.name in curves:
            marks.append(
                Line(
                    x,
                    curves[run.name],
                    name=run.name,
                    colour=series_colour(index),
                    dash=series_dash(index),
                )
            )
    marks.append(Points(x, reference, name="reference", size=3.5))
    y = Axis(f"energy ({unit})", follows="reference")
    return Panel(scan.title, Axis(scan.label), y, tuple(marks))


def scan_limit(evidence: Evidence, result: ScanResult) -> tuple[float | None, str]:
    """Return the energy that a scan leads to and what it is.

    It is that of the scan, if it says one, and for two atoms the sum of their E0.
    """
    scan = result.scan
    if scan.limit is not None:
        return scan.limit, scan.limit_label
    first = scan.structures[0]
    energy = _atoms(evidence, first)
    if first.n_atoms == 2 and energy != 0.0:
        return energy, "isolated atoms (E0)"
    return None, ""


def _covered(evidence: Evidence, result: ScanResult, x: Values) -> Values:
    """Return the coordinate in the training data of all runs, as far as the scan reaches."""
    sets = {id(s): s for s in evidence.training.values()}
    values = np.concatenate([np.zeros(0), *(result.scan.covered(s) for s in sets.values())])
    reach = np.ptp(x)
    return values[(values >= x.min() - reach) & (values <= x.max() + reach)]


def contributions(evidence: Evidence, result: ScanResult) -> Figure | None:
    """Return what each term of the energy adds along a scan, one panel a run."""
    scan = result.scan
    order = np.argsort(scan.values, kind="stable")
    x, lowest = scan.values[order], int(np.argmin(scan.energies[order]))
    reach = np.ptp(scan.energies)
    unit, size = ("meV", MEV) if reach < LARGE * MEV else ("eV", 1.0)
    panels = []
    for index, run in enumerate(evidence.runs):
        if run.name not in result.terms:
            continue
        terms = result.terms[run.name][order]
        terms = (terms - terms[lowest]) / size
        total = terms.sum(axis=1)
        marks: list[Mark] = []
        changing = np.flatnonzero(np.ptp(terms, axis=0) > 1e-6 * max(np.ptp(total), 1e-9))
        for number in changing if len(changing) > 1 else ():
            name = run.potential.terms[number]
            colour, dash = _term_look(name)
            marks.append(Line(x, terms[:, number], name=name, colour=colour, dash=dash))
        marks.append(Line(x, total, name="sum", colour=series_colour(index), width=2.4))
        reference = (scan.energies[order] - scan.energies[order][lowest]) / size
        marks.append(Points(x, reference, name="reference", size=3.5))
        y = Axis(f"energy ({unit})")
        panels.append(Panel(run.name, Axis(scan.label), y, tuple(marks)))
    if not panels:
        return None
    caption = (
        "Terms of the energy, each from its value at the lowest reference energy: `E1`, `E2`, ... "
        "are read out after layer 1, 2, ...; `ZBL` is the core repulsion. E0 does not change. "
        "Where one layer alone is read out, it is the sum."
    )
    title = f"What each layer adds: {scan.title}"
    columns = 4 if len(panels) == 4 else 3
    return Figure(f"layers_{scan.name}", title, tuple(panels), caption, columns=columns)


def _term_look(name: str) -> tuple[str, str]:
    """Give terms a colour from the far end of the series, which few runs reach, and a dash."""
    if not name.startswith("E"):
        return "muted", "dot"
    layer = int(name[1:] or 1)
    colour = series_colour(N_SERIES - 1 - (layer - 1) % 2)
    return colour, ("dash", "solid", "dashdot", "dot")[(layer - 1) // 2 % 4]
