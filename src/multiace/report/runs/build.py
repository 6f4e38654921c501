"""The report on one or more runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from multiace import __version__
from multiace.elements import format_elements
from multiace.report.page import (
    Block,
    Code,
    Facts,
    Notice,
    Page,
    Section,
    Text,
    write_page,
)
from multiace.report.runs import charts
from multiace.report.runs.cost import processor
from multiace.report.runs.evidence import VALIDATION, Evaluated, Evidence
from multiace.report.runs.run import STILL_FALLING, Fall, Run
from multiace.report.structure_view import Frame, StructureView
from multiace.report.table import Cell, Column, Table, Tag
from multiace.units import MEV

N_WORST = 3
LONGEST_ARROW = 1.5
"""Length of the longest arrow of a view, Å."""

TAGS = {True: Tag("unconverged", "warning"), False: Tag("converged", "good")}


def write_report(evidence: Evidence, folder: Path, *, title: str = "") -> Path:
    """Write the report on runs: `folder/report.html` and its figures.

    Args:
        evidence: from `collect`.
        folder: made if it is not there.
        title: of the page; default: the names of the runs.

    Returns:
        The HTML file.
    """
    return write_page(report_page(evidence, title), folder)


def report_page(evidence: Evidence, title: str = "") -> Page:
    """Return the page of a report."""
    runs = evidence.runs
    sections = (
        Section("Results", tuple(_results(evidence))),
        Section("Learning", _there(charts.learning_curves(evidence))),
        Section("Domain", _there(charts.domain_errors(evidence), charts.group_errors(evidence))),
        Section("Parity", tuple(charts.parity(evidence))),
        Section("Scans", _there(charts.scan_energies(evidence))),
        Section("Layers", _there(*(charts.contributions(evidence, s) for s in evidence.scans))),
        Section("Worst frames", _there(*(worst_frames(evidence, run) for run in runs))),
        Section("Cost", (cost_table(evidence),)),
        Section("Provenance", tuple(_provenance(evidence))),
    )
    n_training = sorted({len(structures) for structures in evidence.training.values()})
    elements = sorted({number for run in runs for number in run.potential.elements})
    counts = " or ".join(f"{count:,}" for count in n_training)
    subtitle = f"{counts} training structures · {format_elements(elements)}"
    names = ", ".join(run.name for run in runs)
    return Page(title or names, subtitle, sections, f"Made by multiace {__version__}.")


def _there(*blocks: Block | None) -> tuple[Block, ...]:
    return tuple(block for block in blocks if block is not None)


def _results(evidence: Evidence) -> list[Block]:
    blocks: list[Block] = []
    falling = [(run.name, run.fall) for run in evidence.runs if run.fall and run.fall.unconverged]
    if falling:
        blocks.append(Notice(_still_falling(falling), "warning"))
    for name in evidence.changed:
        text = f"The data of {name} are no longer those it was trained on: its files have changed."
        blocks.append(Notice(text, "warning"))
    return [*blocks, headline(evidence)]


def _still_falling(falling: Sequence[tuple[str, Fall]]) -> str:
    parts = []
    for name, fall in falling:
        of = "energy" if fall.quantity == "energy" else fall.quantity.removesuffix("s")
        parts.append(f"{name} ({of} error by {100 * fall.part:.0f} %)")
    return (
        f"Unconverged: {', '.join(parts)} still fell in the last fifth of the training. Longer "
        "training would lower these errors further."
    )


def headline(evidence: Evidence) -> Table:
    """Return the errors of each run on each set: RMSE of energies and force components."""
    sets = {VALIDATION: evidence.validation, **evidence.tests}
    per_atom = {name: not _one_molecule(list(of_runs.values())) for name, of_runs in sets.items()}
    columns = [Column("run"), Column("training")]
    for name in sets:
        unit = "meV/atom" if per_atom[name] else "meV"
        columns.append(Column("energy", unit, group=name, best="lowest"))
        columns.append(Column("forces", "meV/Å", group=name, best="lowest"))
    rows = []
    for run in evidence.runs:
        fall = run.fall
        row: list[Cell] = [run.name, Tag("too short") if fall is None else TAGS[fall.unconverged]]
        for name, of_runs in sets.items():
            quantity = "energy_per_atom" if per_atom[name] else "energy"
            row += [_rmse(of_runs.get(run.name), q) for q in (quantity, "forces")]
        rows.append(tuple(row))
    caption = (
        f"RMSE; the lowest of each column is bold. `unconverged`: an error on the validation set "
        f"still fell by more than {100 * STILL_FALLING:.0f} % in the last fifth of the epochs."
    )
    return _without_empty(Table("headline", "Errors", tuple(columns), tuple(rows), caption))


def _without_empty(table: Table) -> Table:
    """Leave out the columns that have nothing in any row."""
    kept = [i for i in range(len(table.columns)) if any(row[i] is not None for row in table.rows)]
    return replace(
        table,
        columns=tuple(table.columns[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in table.rows),
    )


def _one_molecule(sets: Sequence[Evaluated]) -> bool:
    """Return whether all structures are molecules of one size, whose total energies compare."""
    structures = [structure for evaluated in sets for structure in evaluated.structures]
    return len({s.n_atoms for s in structures}) == 1 and not any(any(s.pbc) for s in structures)


def _rmse(evaluated: Evaluated | None, quantity: str) -> float | None:
    deviation = None if evaluated is None else getattr(evaluated.errors.total, quantity)
    return None if deviation is None else deviation.rmse / MEV


def worst_frames(evidence: Evidence, run: Run) -> StructureView | None:
    """Return the structures with the largest force errors, arrows showing the errors."""
    tested = evidence.tested(run.name)
    found = []
    for structure, prediction in zip(tested.structures, tested.predictions, strict=True):
        if structure.labels.forces is not None and prediction.forces is not None:
            difference = prediction.forces - structure.labels.forces
            found.append((float(np.sqrt(np.mean(difference**2))), structure, difference))
    if not found:
        return None
    found.sort(key=lambda item: -item[0])
    frames = []
    for rmse, structure, difference in found[:N_WORST]:
        sizes = np.linalg.norm(difference, axis=1)
        facts = [
            f"force RMSE {rmse / MEV:,.0f} meV/Å",
            f"largest error {sizes.max() / MEV:,.0f} meV/Å",
        ]
        if structure.config_type:
            facts.append(structure.config_type)
        place = Path(structure.source).name if structure.source else "structure"
        scale = LONGEST_ARROW / max(float(sizes.max()), 1e-12)
        frames.append(Frame(structure, place, tuple(facts), difference, scale))
    caption = (
        "Arrows: predicted minus reference forces, the longest of each structure drawn 1.5 Å long. "
        "Drag to turn, `+` and `-` to zoom, double-click to reset."
    )
    return StructureView(
        f"worst_{_slug(run.name)}", f"Largest force errors of {run.name}", tuple(frames), caption
    )


def cost_table(evidence: Evidence) -> Table:
    """Return parameters, time and memory of each run."""
    columns = (
        Column("run"),
        Column("parameters"),
        Column("model file", "kB"),
        Column("epochs"),
        Column("training", "s"),
        Column("epoch", "s"),
        Column("peak memory", "MB"),
        Column("energy + forces", "µs/atom", best="lowest"),
    )
    rows = []
    for run in evidence.runs:
        last = run.history[-1] if run.history else None
        steps = np.diff([0.0, *(record.seconds for record in run.history)])
        memory = run.cost.get("peak_memory_bytes")
        row: tuple[Cell, ...] = (
            run.name,
            run.potential.n_parameters,
            run.model_path.stat().st_size / 1e3,
            None if last is None else last.epoch + 1,
            None if last is None else last.seconds,
            float(np.median(steps)) if len(steps) else None,
            None if memory is None else memory / 1e6,
            evidence.speeds[run.name].microseconds,
        )
        rows.append(row)
    speed = evidence.speeds[evidence.runs[0].name]
    caption = (
        f"Time of an epoch: median, validation included. Energy and forces of a structure of "
        f"{speed.n_atoms} atoms, without its neighbour list, timed for this report on "
        f"{speed.processor} with {_count(speed.threads, 'thread')}; training as in its environment "
        "below."
    )
    return _without_empty(Table("cost", "Time and memory", columns, tuple(rows), caption))


def _provenance(evidence: Evidence) -> list[Block]:
    blocks: list[Block] = [
        Text("What each run was made from, and what this report was made with."),
        Facts(
            (
                ("report made by", f"multiace {__version__}, torch {torch.__version__}"),
                ("on", processor()),
            )
        ),
    ]
    for run in evidence.runs:
        blocks.append(_run_table(run))
        blocks.append(Code(f"{run.name}: config.yaml", _yaml(run.config.to_dict())))
    return blocks


def _run_table(run: Run) -> Facts:
    identity = run.identity
    best = run.provenance.get("epoch")
    rows: dict[str, Any] = {
        "run": f"{run.name}: `{run.path}`",
        "data SHA-256": None if run.data_hash is None else f"`{run.data_hash}`",
        "started": identity.get("started"),
        "host": identity.get("host"),
        "environment": _joined(
            {
                "multiace": identity.get("multiace"),
                "torch": identity.get("torch"),
                "threads": identity.get("threads"),
                "kernels": identity.get("kernels"),
            }
        ),
        "precision": run.config.dtype,
        "seed": run.config.seed,
        "best epoch": None if best is None else best + 1,
    }
    return Facts(tuple((name, str(value)) for name, value in rows.items() if value is not None))


def _joined(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "run"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
