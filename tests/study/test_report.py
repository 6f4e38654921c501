from __future__ import annotations

import html
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from tests.study import tiny
from tests.study.test_runner import Here

from multiace.report import Figure, Table
from multiace.study.answer import answer
from multiace.study.ledger import Ledger
from multiace.study.report import study_page, write_report
from multiace.study.results import read_results
from multiace.study.runner import run_study


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Return the directory of a study of four cells and two seeds that was run."""
    directory = tmp_path_factory.mktemp("study")
    fields = tiny.study_fields(directory, budget={"epochs": 2}, seeds=[1, 2])
    del fields["factors"]["pooling"]["none"]
    from multiace.study import read_study

    study = read_study(tiny.write(directory, fields))
    run_study(study, directory / "study", Here(directory / "study"))
    return directory / "study"


def blocks(page, kind) -> dict:
    return {b.name: b for s in page.sections for b in s.blocks if isinstance(b, kind)}


def test_every_number_of_the_page_leads_to_its_run(out):
    results = read_results(out)
    table = blocks(study_page(results), Table)["runs"]
    names = [row[0] for row in table.rows]
    assert sorted(names) == sorted(path.name for path in (out / "runs").iterdir())
    column = [c.heading for c in table.columns].index("forces (meV/Å)")
    ledger = Ledger(out)
    for row in table.rows:
        found = ledger.evaluation(row[0], results.evaluations["near"]["id"])
        assert row[column] == found["errors"]["forces"]["rmse"]


def test_cells_have_means_and_standard_deviations_of_their_seeds(out):
    results = read_results(out)
    table = blocks(study_page(results), Table)["cells"]
    column = [c.heading for c in table.columns].index("forces (meV/Å)")
    for cell, row in zip(results.cells, table.rows, strict=True):
        errors = [o.errors["near", "forces"] for o in results.of_cell(cell)]
        assert row[column].value == pytest.approx(np.mean(errors))
        assert row[column].error == pytest.approx(np.std(errors, ddof=1))


def test_effects_are_ratios_of_geometric_means(out):
    results = read_results(out)
    rows = blocks(study_page(results), Table)["effects_table"].rows
    (pooling,) = (row for row in rows if "in domain" in row[0] and "pooling" in row[1])
    logs = {
        level: np.mean(
            [np.log(o.errors["near", "forces"]) for o in results.outcomes if o.levels[0] == level]
        )
        for level in (0, 1)
    }
    assert pooling[3] == pytest.approx(100.0 * np.expm1(logs[1] - logs[0]))


def test_the_page_is_written_with_its_figures_and_an_answer_in_three_sentences(out):
    page = html.unescape(write_report(out).read_text())
    assert all(sentence in page for sentence in answer(read_results(out)))
    assert len(re.findall(r"This rests on 8 runs of 4 cells with 2 seeds", page)) == 1
    figures = blocks(study_page(read_results(out)), Figure)
    assert set(figures) == {"effects", "plane", "front", "learning", "scans"}
    for name in figures:
        assert (out / "figures" / f"{name}.svg").exists()


def test_long_names_are_shortened_in_figures_alone(out):
    results = read_results(out)
    first, *others = results.factors
    levels = (first.levels[0], 30 * "long ")
    named = replace(results, factors=(replace(first, levels=levels), *others))
    page = study_page(named)
    ticks = blocks(page, Figure)["effects"].panels[0].y.ticks
    assert max(map(len, ticks)) == 40
    assert any(30 * "long " in str(row) for row in blocks(page, Table)["effects_table"].rows)


def test_errors_that_a_run_lacks_are_not_compared_and_the_run_is_named(out, tmp_path):
    copied = tmp_path / "study"
    shutil.copytree(out, copied)
    before = read_results(copied)
    run = before.outcomes[0]
    path = (
        Ledger(copied).run_path(run.name)
        / "evaluations"
        / f"{before.evaluations['near']['id']}.json"
    )
    path.write_text(json.dumps({"failed": "the test set is gone"}))
    found = read_results(copied)
    assert {r.domain for r in found.responses} == {r.domain for r in before.responses} - {
        "in_domain"
    }
    expected = (
        "nothing is said of the force error, as it is missing or not positive in 1 of 8 runs "
        f"({run.cell}, seed {run.seed}: the test set is gone)"
    )
    assert all(
        expected in page
        for page in (answer(found)[0], html.unescape(write_report(copied).read_text()))
    )
