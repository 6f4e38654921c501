"""Tables of what probes found in the models of a study."""

from __future__ import annotations

from collections.abc import Sequence

from multiace.report import Column, Notice, Table
from multiace.report.table import Cell
from multiace.study.over_seeds import over_seeds
from multiace.study.results import Results


def probe_tables(results: Results) -> list[Table | Notice]:
    """Return a table for each probe: a row for each cell, a column for each number."""
    blocks: list[Table | Notice] = []
    for index, name in enumerate(results.config.evaluations.probes, 1):
        found = _table(results, name, index)
        if found is not None:
            blocks.append(found)
        failed = [o for o in results.outcomes if name in o.failed]
        if failed:
            text = "; ".join(f"{o.cell}, seed {o.seed}: {o.failed[name]}" for o in failed)
            blocks.append(Notice(f"{name} failed in {len(failed)} runs. {text}", "warning"))
    for response, obstacle in results.not_compared:
        if response.domain != "probe":  # of which the answer speaks
            continue
        blocks.append(Notice(f"No effects on {response.name}: {obstacle}."))
    return blocks


def _table(results: Results, name: str, index: int) -> Table | None:
    known = {
        number: content["unit"]
        for outcome in results.outcomes
        for number, content in outcome.probes.get(name, {}).items()
        if content["value"] is not None
    }
    if not known:
        return None
    is_path = results.config.plan.kind == "path"
    choices = ["cell"] if is_path else [factor.name for factor in results.factors]
    columns = [Column(choice) for choice in choices]
    probe = results.config.evaluations.probes[name].probe
    columns += [_column(number, unit, probe) for number, unit in known.items()]
    rows: list[Sequence[Cell]] = []
    for cell in results.cells:
        outcomes = results.of_cell(cell)
        levels = [f.levels[l] for f, l in zip(results.factors, outcomes[0].levels, strict=True)]
        there = [o.probes[name] for o in outcomes if name in o.probes]
        numbers = [over_seeds([p.get(n, {}).get("value") for p in there]) for n in known]
        rows.append([*([cell] if is_path else levels), *numbers])
    caption = (
        f"`multiace probe {probe}`: mean ± standard deviation over seeds (n − 1), or how many "
        "seeds came to what; `docs/probes.md` says what the numbers are."
    )
    title = f"{name} ({probe})" if name != probe else name
    return Table(f"probe_{index}", title, tuple(columns), tuple(map(tuple, rows)), caption)


def _column(number: str, unit: str, probe: str) -> Column:
    """Return the column of a number; those of a probe in parts stand under their part."""
    if probe != "smoothness":
        return Column(number, unit)
    part, _, title = number.partition("_")
    return Column(title, unit, group=part)
