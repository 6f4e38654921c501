"""The report of a study: one page with the answer, effects, fronts, curves and every number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from multiace.figures.figure import Mark
from multiace.report import (
    Axis,
    Code,
    Column,
    Diagonal,
    Facts,
    Figure,
    Level,
    Line,
    Notice,
    Page,
    Panel,
    Points,
    Position,
    Section,
    Table,
    Text,
    series_colour,
    write_page,
)
from multiace.report.table import Cell as TableCell
from multiace.study.answer import answer, obstacle_to_ranking, percent
from multiace.study.confounding import identification_notes
from multiace.study.curves import learning_curves, scans
from multiace.study.over_seeds import over_seeds
from multiace.study.probe_tables import probe_tables
from multiace.study.results import Outcome, Response, Results, read_results
from multiace.study.statistics import Fit, pareto_front

LONGEST_LABEL = 40
"""Letters of a choice in a figure."""


def write_report(out: str | Path) -> Path:
    """Write `report.html` and its figures into the directory of a study; return its path.

    Raises:
        StudyError: there is no study, or the statistics cannot be computed.
    """
    results = read_results(out)
    return write_page(study_page(results), results.path)


def study_page(results: Results) -> Page:
    """Return the page of a study."""
    n_done, n_runs = results.status.count("done"), len(results.status.runs)
    return Page(
        title=results.config.title,
        subtitle=f"{results.config.plan.kind} of {len(results.cells)} cells, "
        f"{n_done} of {n_runs} runs done",
        sections=(
            Section("Answer", tuple(_answer(results))),
            Section("Effects", tuple(_effects(results))),
            Section("In and out of domain", tuple(_plane(results))),
            Section("Error and cost", tuple(_front(results))),
            Section("Cells", tuple(_cell_table(results))),
            Section("Training", tuple(learning_curves(results))),
            Section("Scans", tuple(scans(results))),
            Section("Probes", tuple(probe_tables(results))),
            Section("Runs", tuple(_runs(results))),
        ),
        footer=f"multiace study report {results.path}",
    )


def _answer(results: Results) -> list[Text | Notice | Code | Facts]:
    blocks: list[Text | Notice | Code | Facts] = [Text("\n\n".join(answer(results)))]
    obstacle = obstacle_to_ranking(results)
    if obstacle is not None:
        blocks.append(Notice(f"Nothing is called better or worse here: {obstacle}.", "warning"))
    failed = [run for run in results.status.runs if run.state == "failed"]
    if failed:
        text = "; ".join(f"{run.cell}, seed {run.seed}: {run.failure}" for run in failed)
        blocks.append(Notice(f"{len(failed)} runs failed. {text}", "warning"))
    notes = list(results.notes)
    if results.identification is not None:
        notes += identification_notes(
            results.identification, results.factors, results.config.plan.kind
        )
    if notes:
        blocks.append(Code("What the plan can and cannot tell apart", "\n".join(notes)))
    blocks.append(Facts(tuple(_facts(results))))
    return blocks


def _facts(results: Results) -> list[tuple[str, str]]:
    budget = {k: v for k, v in results.config.budget.model_dump().items() if v is not None}
    rows = [
        ("budget", ", ".join(f"{value} {name}" for name, value in budget.items())),
        ("seeds", ", ".join(map(str, results.config.seeds))),
        ("threads", str(results.config.threads)),
    ]
    for response, fit in zip(results.responses, results.fits, strict=False):
        if fit.residual is not None:
            rows.append(
                (
                    f"residual, {response.name}",
                    f"{_change(fit.residual):.1f} % in one run, "
                    f"{fit.degrees} degrees of freedom, scatter of "
                    + ("cells" if fit.error_term == "cells" else "seeds and cells"),
                )
            )
        if fit.lack_of_fit is not None:
            rows.append((f"lack of fit, {response.name}", f"p = {fit.lack_of_fit:.2g}"))
    return rows


def _label(results: Results, factor: int, level: int) -> str:
    found = results.factors[factor]
    if results.config.plan.kind == "path":
        return found.name
    return f"{found.name}: {found.levels[level]}"


def _shortened(label: str) -> str:
    """Return what fits beside a panel; tables and notes have the whole."""
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _effects(results: Results) -> list[Figure | Table]:
    shown = [(r, f) for r, f in zip(results.responses, results.fits, strict=False) if f.effects]
    if not shown:
        return []
    panels = tuple(_effect_panel(results, response, fit) for response, fit in shown)
    caption = (
        "Change of the error, or of the number of a probe, against the first level of the factor, "
        "averaged over the others. "
        "Bars are 95 % t intervals, not corrected for the number of comparisons; small dots are "
        "single seeds."
    )
    blocks: list[Figure | Table] = [Figure("effects", "Effects", panels, caption, columns=1)]
    blocks.append(_effect_table(results, shown))
    if any(fit.interactions for _, fit in shown):
        blocks.append(_interaction_table(results, shown))
    return blocks


def _effect_panel(results: Results, response: Response, fit: Fit) -> Panel:
    """Draw the effects from top to bottom, in the order of the factors."""
    effects = fit.effects[::-1]
    labels = tuple(_label(results, e.factor, e.level) for e in effects)
    places = np.arange(len(labels), dtype=np.float64)
    ratios = np.array([_change(e.estimate) for e in effects])
    marks: list[Mark] = [Position(0.0)]
    seeds = [(_change(v), place) for place, e in enumerate(effects) for _, v in e.by_seed]
    if seeds:
        x, y = np.array(seeds, dtype=np.float64).T
        marks.append(Points(x, y - 0.25, name="single seeds", colour="muted", size=3.0))
    for place, effect in enumerate(effects):
        if effect.low is not None and effect.high is not None:
            interval = np.array([_change(effect.low), _change(effect.high)])
            at = np.full(2, float(place))
            marks.append(Line(interval, at, colour=series_colour(effect.factor), width=2.4))
    for factor in sorted({e.factor for e in effects}):
        mine = np.array([e.factor == factor for e in effects])
        notes = tuple(
            f"{label}: {percent(e.estimate)}"
            for label, e in zip(labels, effects, strict=True)
            if e.factor == factor
        )
        marks.append(
            Points(ratios[mine], places[mine], colour=series_colour(factor), size=5.0, notes=notes)
        )
    what = response.quantity if response.domain == "probe" else "the error"
    axes = Axis(f"change of {what} (%)"), Axis("", ticks=tuple(map(_shortened, labels)))
    return Panel(response.name, *axes, tuple(marks))


def _change(log_ratio: float) -> float:
    """Return the change of an error in % from that of its logarithm."""
    return 100.0 * math.expm1(log_ratio)


def _effect_table(results: Results, shown: Sequence[tuple[Response, Fit]]) -> Table:
    columns = (
        Column("response"),
        Column("choice"),
        Column("instead of"),
        Column("change", "%"),
        Column("low", "%"),
        Column("high", "%"),
        Column("sd over seeds", "%"),
        Column("p"),
        Column("p (Holm)"),
    )
    rows: list[tuple[TableCell, ...]] = []
    for response, fit in shown:
        for effect in fit.effects:
            deviation = effect.standard_deviation
            values = (effect.estimate, effect.low, effect.high)
            rows.append(
                (
                    response.name,
                    _label(results, effect.factor, effect.level),
                    results.factors[effect.factor].levels[0],
                    *(None if v is None else _change(v) for v in values),
                    None if deviation is None else 100.0 * deviation,
                    effect.p,
                    effect.p_holm,
                )
            )
    caption = (
        "Changes of the error or number with 95 % t intervals of the linear model blocked by "
        "seed; standard deviations of the paired differences of logarithms over seeds divide by "
        "n − 1; Holm's correction is for all rows."
    )
    return Table("effects_table", "Effects", columns, tuple(rows), caption)


def _interaction_table(results: Results, shown: Sequence[tuple[Response, Fit]]) -> Table:
    columns = (
        Column("response"),
        Column("interaction"),
        Column("F"),
        Column("p"),
        Column("p (Holm)"),
    )
    rows = tuple(
        (
            response.name,
            " × ".join(results.factors[factor].name for factor in found.term),
            found.f,
            found.p,
            found.p_holm,
        )
        for response, fit in shown
        for found in fit.interactions
    )
    return Table("interactions", "Interactions that the plan identifies", columns, rows)


def _plane(results: Results) -> list[Figure]:
    fits = {r.domain: f for r, f in zip(results.responses, results.fits, strict=False)}
    if "in_domain" not in fits or "out_of_domain" not in fits:
        return []
    inside, outside = (
        {(e.factor, e.level): e for e in fits[d].effects} for d in ("in_domain", "out_of_domain")
    )
    marks: list[Mark] = []
    is_choice = results.config.plan.kind != "path"  # a step has one level, after it
    for factor, choice in enumerate(results.factors):
        keys = [k for k in inside if k[0] == factor and k in outside]
        if not keys:
            continue
        x, y = (np.array([e[k].estimate for k in keys]) for e in (inside, outside))
        halves = [
            np.array([((e[k].high or e[k].estimate) - e[k].estimate) for k in keys])
            for e in (inside, outside)
        ]
        notes = tuple(
            f"{_label(results, *k)}: {percent(inside[k].estimate)} in domain, "
            f"{percent(outside[k].estimate)} out of domain"
            for k in keys
        )
        marks.append(
            Points(
                100.0 * x,
                100.0 * y,
                name=choice.name,
                colour=series_colour(factor),
                size=7.0,
                x_error=100.0 * halves[0],
                y_error=100.0 * halves[1],
                notes=notes,
                labels=tuple(
                    _shortened(choice.levels[level]) if is_choice else "" for _, level in keys
                ),
            )
        )
    panel = Panel(
        "",
        Axis("100 × change of log error in domain"),
        Axis("100 × change of log error out of domain"),
        (Diagonal(), Level(0.0), Position(0.0), *marks),
    )
    caption = (
        "Each choice against the first level of its factor, with 95 % intervals: right and left of "
        "0 it raises or lowers the error in domain, above and below out of domain; on the dotted "
        "line it does the same in both. 10 is about 10 %."
    )
    title = "What a choice does in and out of domain"
    return [Figure("plane", title, (panel,), caption, columns=1, height=1.7)]


def _mean_error(response: Response, outcomes: Sequence[Outcome]) -> float:
    logs = [response.log_value(outcome) for outcome in outcomes]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def _front(results: Results) -> list[Figure]:
    response = next((r for r in results.responses if r.domain != "probe"), None)
    if response is None:
        return []
    costs = (
        ("measured energy and forces (µs/atom)", lambda o: o.microseconds_per_atom or math.nan),
        ("parameters", lambda o: float(o.parameters)),
    )
    panels = []
    for label, cost in costs:
        points = np.array(
            [
                (
                    float(np.median([cost(o) for o in results.of_cell(cell)])),
                    _mean_error(response, results.of_cell(cell)),
                )
                for cell in results.cells
            ]
        ).reshape(-1, 2)
        kept = np.asarray(np.isfinite(points).all(axis=1) & (points > 0).all(axis=1))
        names = [cell for cell, keep in zip(results.cells, kept, strict=True) if keep]
        points = points[kept]
        if not len(points):
            continue
        front = pareto_front(points)
        order = np.argsort(points[front, 0])
        marks: list[Mark] = [
            Line(*points[front][order].T, name="front of means", colour="muted", dash="dash")
        ]
        for on_front, name, colour in ((True, "on it", "series-1"), (False, "others", "series-0")):
            mine = np.asarray(front == on_front)
            if mine.any():
                notes = tuple(
                    f"{n}: {e:.3g} {response.unit}, {c:.4g}"
                    for n, (c, e), m in zip(names, points, mine, strict=True)
                    if m
                )
                marks.append(Points(*points[mine].T, name=name, colour=colour, notes=notes))
        panels.append(
            Panel(
                "",
                Axis(label, log=_spans(points[:, 0])),
                Axis(f"{response.name} ({response.unit})", log=_spans(points[:, 1])),
                tuple(marks),
            )
        )
    caption = (
        "Geometric means over seeds. Neighbours on the front may differ by less than their "
        "scatter; times were measured while other runs were going."
    )
    return [Figure("front", "Error against cost", tuple(panels), caption)] if panels else []


def _spans(values: Float64[np.ndarray, " values"]) -> bool:
    """Whether values need a logarithmic axis."""
    return bool(values.max() > 10.0 * values.min())


def _cell_table(results: Results) -> list[Table]:
    is_path = results.config.plan.kind == "path"
    choices = ["cell"] if is_path else [factor.name for factor in results.factors]
    tests = [n for n, content in results.evaluations.items() if content["domain"] != "scan"]
    scans = [n for n, content in results.evaluations.items() if content["domain"] == "scan"]
    units = {"energy": "meV", "forces": "meV/Å"}
    wanted = [(n, q) for n in tests for q in units] + [(n, "energy") for n in scans]
    wanted = [key for key in wanted if any(key in o.errors for o in results.outcomes)]
    columns = [Column(choice) for choice in choices]
    columns += [Column(q, units[q], group=n) for n, q in wanted]
    columns += [
        Column("runs"),
        Column("parameters"),
        Column("training", "s"),
        Column("inference", "µs/atom"),
        Column("still falling"),
    ]
    rows = []
    for cell in results.cells:
        outcomes = results.of_cell(cell)
        levels = [f.levels[l] for f, l in zip(results.factors, outcomes[0].levels, strict=True)]
        row: list[TableCell] = [cell] if is_path else list(levels)
        row += [over_seeds([o.errors[key] for o in outcomes if key in o.errors]) for key in wanted]
        times = [o.microseconds_per_atom for o in outcomes if o.microseconds_per_atom is not None]
        row += [
            len(outcomes),
            outcomes[0].parameters,
            float(np.mean([o.seconds for o in outcomes])),
            float(np.median(times)) if times else None,
            "yes" if any(o.is_falling for o in outcomes) else "no",
        ]
        rows.append(tuple(row))
    caption = (
        "RMSE: mean ± standard deviation over seeds (n − 1). Still falling: the lowest validation "
        "error of a run fell by more than 5 % in the last fifth of training."
    )
    return [Table("cells", "Cells", tuple(columns), tuple(rows), caption)] if rows else []


def _runs(results: Results) -> list[Table]:
    columns = [
        Column("run"),
        Column("cell"),
        Column("seed"),
        Column("state"),
        Column("epochs"),
        Column("training", "s"),
    ]
    keys = [
        (n, q)
        for n, c in results.evaluations.items()
        for q in ("energy", "forces")
        if c["domain"] != "scan" or q == "energy"
    ]
    keys = [key for key in keys if any(key in o.errors for o in results.outcomes)]
    units = {"energy": "meV", "forces": "meV/Å"}
    columns += [Column(q, units[q], group=n) for n, q in keys]
    by_name = {outcome.name: outcome for outcome in results.outcomes}
    rows = []
    for run in results.status.runs:
        outcome = by_name.get(run.name)
        row: list[TableCell] = [run.name, run.cell, run.seed, run.state]
        row += [None, None] if outcome is None else [outcome.epochs, outcome.seconds]
        row += [None if outcome is None else outcome.errors.get(key) for key in keys]
        rows.append(tuple(row))
    caption = (
        f"Everything of a run is in `{results.path}/runs/NAME`: config.yaml, metrics.jsonl, "
        "model.safetensors and evaluations."
    )
    return [Table("runs", "Runs", tuple(columns), tuple(rows), caption)]
