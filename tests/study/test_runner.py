from __future__ import annotations

import io

import pytest
from rich.console import Console
from tests.study import tiny

from multiace.study.display import Display, table_of
from multiace.study.errors import StudyError
from multiace.study.estimate import estimate
from multiace.study.ledger import Ledger
from multiace.study.measure import Measurement
from multiace.study.prepare import Costs, epochs_of, read_plan
from multiace.study.runner import run_study
from multiace.study.status import read_status
from multiace.study.work import work


class Here:
    """Does runs in this process, one after another."""

    n_free = 1

    def __init__(self, out) -> None:
        self.out, self.outcomes, self.done = out, {}, []

    def start(self, name: str, *, retry: bool = False) -> None:
        self.outcomes[name] = work(self.out, name, retry=retry, watch_parent=False)
        self.done.append(name)

    def ended(self) -> dict:
        found, self.outcomes = self.outcomes, {}
        return found

    def cancel(self, name: str) -> None:
        raise AssertionError("nothing runs beside this")

    def close(self) -> None:
        pass


FACTORS = {"pooling": {"N": {}, "none": {"design.atomic_basis.pooling": "1"}}}


def fields(directory, **changes):
    content = tiny.study_fields(directory, **{"budget": {"epochs": 1}, **changes})
    content["factors"] = changes.get("factors", FACTORS)
    return content


def read(directory, **changes):
    from multiace.study import read_study

    return read_study(tiny.write(directory, fields(directory, **changes)))


def run(study, directory, **options):
    executor = Here(directory / "study")
    status = run_study(study, directory / "study", executor, **options)
    return status, executor.done


def test_a_study_runs_only_what_is_missing(tmp_path):
    status, done = run(read(tmp_path), tmp_path)
    assert (status.count("done"), len(done)) == (2, 2)
    status, done = run(read(tmp_path), tmp_path)
    assert (status.count("done"), done) == (2, [])
    status, done = run(read(tmp_path, seeds=[1, 2]), tmp_path)
    assert (status.count("done"), len(done)) == (4, 2)
    assert status.seconds_left == 0.0


def test_a_new_evaluation_trains_nothing_again(tmp_path):
    study = read(tmp_path)
    run(study, tmp_path)
    ledger, names = (
        Ledger(tmp_path / "study"),
        [r["name"] for r in read_plan(tmp_path / "study")["runs"]],
    )
    models = [ledger.run_path(name) / "model.safetensors" for name in names]
    before = [model.stat().st_mtime_ns for model in models]
    more = {"evaluations": {"in_domain": {"train": str(tmp_path / "train.xyz")}}}
    _, done = run(read(tmp_path, **more), tmp_path)
    assert sorted(done) == sorted(names)
    assert [model.stat().st_mtime_ns for model in models] == before
    content = read_plan(tmp_path / "study")["evaluations"]["train"]
    assert ledger.evaluation(names[0], content["id"])["n_structures"] == 12


def test_a_failed_run_is_recorded_with_its_traceback_and_costs_no_other(tmp_path):
    wild = {"calm": {}, "wild": {"optimiser.rate": 1e30, "strikes": 1}}
    status, _ = run(read(tmp_path, factors={"rate": wild}), tmp_path)
    assert (status.count("done"), status.count("failed")) == (1, 1)
    (failed,) = (run for run in status.runs if run.state == "failed")
    assert "TrainingDiverged" in failed.failure
    assert "Traceback" in Ledger(tmp_path / "study").failure(failed.name)
    _, done = run(read(tmp_path, factors={"rate": wild}), tmp_path)
    assert done == []
    _, done = run(read(tmp_path, factors={"rate": wild}), tmp_path, retry=True)
    assert done == [failed.name]


def test_the_name_of_a_run_follows_its_content(tmp_path):
    def names(**changes):
        from multiace.study.study import run_name

        study = read(tmp_path, **changes)
        return [
            run_name(study.training_config(c, epochs=4, seed=1).resolved(), 1) for c in study.cells
        ]

    first = names()
    assert len(set(first)) == 2
    assert names(title="Another question") == first
    where = {"kernels": "reference", "tracing": "never", "checkpoint": {"steps": 3}}
    assert names(base=where) == first
    assert not set(names(base={"loss": {"forces": 11.0}})) & set(first)
    assert not set(names(base={"ema": None})) & set(first)
    data = tmp_path / "train.xyz"
    data.write_text(data.read_text().replace("0.96", "0.97").replace("\n", "\n", 1) + " ")
    assert not set(names()) & set(first)


def test_equal_flops_give_the_dearer_cell_fewer_epochs(tmp_path):
    layers = {"layers": {"field": "design.layers", "values": [1, 3]}}
    content = fields(tmp_path, factors=layers)
    content["budget"] = {"flops": 1e7}
    from multiace.study import read_study

    study = read_study(tiny.write(tmp_path, content))
    costs = Costs(study)
    few, many = (epochs_of(study, cell, costs) for cell in reversed(study.cells))
    assert few < many
    for cell in study.cells:
        spent = costs.of(cell).flops_per_epoch * epochs_of(study, cell, costs)
        assert spent == pytest.approx(1e7, rel=0.1)


@pytest.mark.slow
def test_equal_minutes_are_timed_once_and_kept(tmp_path):
    content = fields(tmp_path)
    content["budget"] = {"minutes": 0.1}
    from multiace.study import read_study

    study = read_study(tiny.write(tmp_path, content))
    timed = []

    def seconds_per_epoch(cell):
        timed.append(cell)
        return 2.0

    run(study, tmp_path, timed=seconds_per_epoch)
    assert len(timed) == 2
    _, done = run(study, tmp_path, timed=seconds_per_epoch)
    assert (len(timed), done) == (2, [])
    assert {row["epochs"] for row in read_plan(tmp_path / "study")["runs"]} == {3}
    with pytest.raises(StudyError, match="is timed on the machine"):
        run_study(study, tmp_path / "other", Here(tmp_path / "other"))


def test_an_estimate_times_the_cheapest_and_the_dearest_cell(tmp_path):
    study = tiny.study(
        tmp_path, factors={"layers": {"field": "design.layers", "values": [1, 2, 3]}}
    )
    asked = []

    def timer(cell):
        asked.append(cell)
        return Measurement(float(len(asked)), 3.0, 0.5)

    expected = estimate(study, timer)
    assert len(asked) == 2
    assert len(expected.cells) == len(study.cells) == 18
    assert all(4.0 <= row.seconds - 3.0 <= 8.0 for row in expected.cells)  # 4 epochs
    assert expected.seconds == pytest.approx(sum(row.seconds for row in expected.cells))


@pytest.mark.slow
def test_the_table_shows_every_run_and_a_pipe_gets_lines(tmp_path):
    run(read(tmp_path), tmp_path)
    status = read_status(tmp_path / "study")
    console = Console(width=160, record=True, force_terminal=False, file=io.StringIO())
    console.print(table_of(status))
    with Display(console) as display:
        display.show(status)
        display.show(status)
    text = console.export_text()
    assert text.count("done: pooling: none, seed 1: validation error") == 1
    assert "2 done" in text
    assert all(row.name[:8] in text for row in status.runs)


def test_a_directory_without_study_is_refused(tmp_path):
    with pytest.raises(StudyError, match="holds no study"):
        read_status(tmp_path)


def test_a_coordinate_of_atoms_that_are_not_there_is_refused_before_anything_runs(tmp_path):
    scans = {"scans": {"path": {"file": str(tmp_path / "far.xyz"), "coordinate": [0, 7]}}}
    with pytest.raises(StudyError, match="no atoms 0, 7 in a structure of 3"):
        run(read(tmp_path, evaluations=scans), tmp_path)
    assert not (tmp_path / "study").exists()
