"""The report: what is in it, numbers that agree with their sources, and it opens in a browser."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from tests.report.browser import OpenPage, open_browser
from tests.training.tiny import molecules

from multiace.report import Coverage, Density, Figure, Level, Line, Points, StructureView, Table
from multiace.report.runs import charts, report_page, write_report
from multiace.report.runs.build import cost_table, headline, worst_frames
from multiace.report.table import to_csv
from multiace.units import MEV


def test_the_headline_has_the_errors_of_each_set(evidence):
    heading, *rows = csv.reader(io.StringIO(to_csv(headline(evidence))))
    assert heading == [
        "run",
        "training",
        "validation energy (meV)",
        "validation forces (meV/Å)",
        "hot energy (meV)",
        "hot forces (meV/Å)",
    ]
    for row, name in zip(rows, ("one", "two"), strict=True):
        assert row[0] == name
        total = evidence.tests["hot"][name].errors.total
        assert float(row[4]) == pytest.approx(total.energy.rmse / MEV)
        assert float(row[5]) == pytest.approx(total.forces.rmse / MEV)


def test_an_unconverged_run_is_marked(evidence):
    run = evidence.runs[0]
    falling = tuple(
        replace(record, rmse={"forces": 100.0 - 10.0 * record.epoch}) for record in run.history
    )
    steady = tuple(replace(record, rmse={"forces": 100.0}) for record in run.history)
    for history, state, count in ((falling, "unconverged", 1), (steady, "converged", 0)):
        changed = replace(evidence, runs=(replace(run, history=history),))
        (row,) = headline(changed).rows
        assert row[1].text == state
        results = report_page(changed).sections[0]
        assert len(results.blocks) == 1 + count
    assert (
        "error by 29 %"
        in report_page(replace(evidence, runs=(replace(run, history=falling),)))
        .sections[0]
        .blocks[0]
        .text
    )


def test_curves_are_those_of_the_metrics(evidence):
    figure = charts.learning_curves(evidence)
    assert [panel.title for panel in figure.panels] == ["Forces", "Forces by the clock", "Energy"]
    (line, other) = figure.panels[0].marks
    assert (line.name, other.name) == ("one", "two")
    expected = [record.rmse["forces"] for record in evidence.runs[0].history]
    assert line.y.tolist() == expected
    assert line.x.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_parity_shows_every_label_and_errors_as_distance_from_the_diagonal(evidence):
    forces, energies = charts.parity(evidence)
    (_, points) = forces.panels[0].marks
    assert len(points.x) == 6 * 3 * 3
    tested = evidence.tested("one")
    rmse = np.sqrt(np.mean((points.y - points.x) ** 2))
    assert rmse == pytest.approx(tested.errors.total.forces.rmse / MEV)
    (_, points) = energies.panels[1].marks
    assert points.x.min() == 0.0
    rmse = np.sqrt(np.mean((points.y - points.x) ** 2))
    total = evidence.tested("two").errors.total
    assert rmse == pytest.approx(total.energy_per_atom.rmse / MEV, rel=1e-6)


def test_many_forces_become_a_density(evidence, monkeypatch):
    monkeypatch.setattr(charts, "DENSE", 10)
    (_, cloud) = charts.parity(evidence)[0].panels[0].marks
    assert isinstance(cloud, Density)
    assert cloud.counts.sum() == 6 * 3 * 3


def test_errors_go_by_element_and_by_kind_of_configuration(evidence):
    figure = charts.group_errors(evidence)
    assert [panel.y.ticks for panel in figure.panels] == [("H", "O"), ("a", "b"), ("a", "b")]
    rows = evidence.tested("one").errors.by("element")
    assert figure.panels[0].marks[0].x[1] == pytest.approx(rows["O"].forces.rmse / MEV)


def test_a_scan_is_drawn_in_order_over_the_training_data_with_its_limit(evidence):
    (panel,) = charts.scan_energies(evidence).panels
    kinds = [type(mark) for mark in panel.marks]
    assert kinds == [Coverage, Level, Line, Line, Points]
    assert panel.marks[2].x.tolist() == pytest.approx([0.8, 1.2, 1.6, 2.4])
    assert panel.marks[4].y.min() == 0.0
    assert len(panel.marks[0].values) == 2 * 9 or len(panel.marks[0].values) == 9
    lowest = min(s.labels.energy for s in evidence.scans[0].scan.structures)
    assert panel.marks[1].value == pytest.approx(-2070.0 - lowest)
    assert panel.y.label == "energy (eV)"


def test_two_atoms_have_the_sum_of_their_isolated_energies_as_limit(evidence):
    scan = evidence.scans[0].scan
    pair = replace(scan.structures[0], numbers=np.array([8, 1]), positions=np.eye(3)[:2])
    dimer = replace(evidence.scans[0], scan=replace(scan, structures=(pair,), limit=None))
    limit, label = charts.scan_limit(evidence, dimer)
    assert limit == pytest.approx(-2040.0 - 13.5)
    assert "E0" in label
    assert charts.scan_limit(evidence, replace(dimer, scan=replace(scan, limit=None)))[0] is None


def test_layers_add_up_to_the_model_along_a_scan(evidence):
    figure = charts.contributions(evidence, evidence.scans[0])
    assert [panel.title for panel in figure.panels] == ["one", "two"]
    *terms, total, _ = figure.panels[0].marks
    assert [term.name for term in terms] == ["E1", "E2"]
    np.testing.assert_allclose(sum(term.y for term in terms), total.y, atol=1e-9)


def test_the_worst_frames_are_those_with_the_largest_force_errors(evidence):
    view = worst_frames(evidence, evidence.runs[0])
    tested = evidence.tested("one")
    rmse = [
        np.sqrt(np.mean((p.forces - s.labels.forces) ** 2))
        for s, p in zip(tested.structures, tested.predictions, strict=True)
    ]
    order = np.argsort(rmse)[::-1][:3]
    assert [frame.structure for frame in view.frames] == [tested.structures[k] for k in order]
    longest = np.linalg.norm(view.frames[0].scale * view.frames[0].arrows, axis=1).max()
    assert longest == pytest.approx(1.5)


def test_time_and_memory_have_units(evidence):
    table = cost_table(evidence)
    named = {c.heading: cell for c, cell in zip(table.columns, table.rows[0], strict=True)}
    assert named["parameters"] == evidence.runs[0].potential.n_parameters
    assert named["epochs"] == 6
    assert 0.1 < named["energy + forces (µs/atom)"] < 1e6
    assert named["peak memory (MB)"] > 10.0


def test_a_run_on_energies_alone_has_a_report_without_forces(evidence):
    run = evidence.runs[0]
    few = replace(evidence.tests["hot"]["one"], structures=tuple(molecules(6, forces=False)))
    alone = replace(
        evidence, runs=(run,), tests={}, scans=(), validation={"one": few}, atomic_energies={}
    )
    page = report_page(alone)
    names = [
        b.name for s in page.sections for b in s.blocks if isinstance(b, Figure | StructureView)
    ]
    assert names == ["learning_curves", "parity"]
    (figure,) = charts.parity(alone)
    assert [panel.title for panel in figure.panels] == ["Energies"]


def test_provenance_names_data_and_config(evidence):
    page = report_page(evidence)
    text = repr(page.sections[-1])
    for run in evidence.runs:
        assert run.data_hash in text
    assert "preset" not in text
    assert "features_l_max" in text
    tables = [b for s in page.sections for b in s.blocks if isinstance(b, Table)]
    assert [table.name for table in tables] == ["headline", "cost"]


def test_the_report_opens_from_disk(evidence, tmp_path):
    path = write_report(evidence, tmp_path, title="Two runs")
    assert path.stat().st_size < 8e6
    with open_browser() as browser:
        shown = OpenPage(browser, path, viewport={"width": 390, "height": 844})
        assert shown.page.title() == "Two runs"
        assert shown.undrawn() == []
        assert shown.complaints == []
        assert shown.too_wide() == []
