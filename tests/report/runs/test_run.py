"""Run directories as reports read them, and when a run has converged."""

import json
import shutil

import pytest
from tests.training.tiny import config

from multiace.report.runs import RunError, read_run
from multiace.report.runs.run import last_fall, read_history, with_data_folder
from multiace.training import EpochRecord


def history(errors: list[float], quantity: str = "forces") -> list[EpochRecord]:
    return [
        EpochRecord(epoch, epoch, 1.0, 0.1, 1.0, 1.0, {quantity: error}, {}, False)
        for epoch, error in enumerate(errors)
    ]


@pytest.mark.parametrize(
    ("errors", "part"),
    [
        ([100.0] * 8 + [94.0] * 2, 0.06),
        ([100.0] * 8 + [96.0] * 2, 0.04),
        ([100.0, 50.0] + [60.0] * 8, 0.0),
        ([100.0] * 8 + [90.0, 120.0], 0.1),
        ([100.0] * 8 + [200.0] * 2, 0.0),
    ],
)
def test_a_run_is_unconverged_if_its_lowest_error_falls_by_5_percent_in_its_last_fifth(
    errors, part
):
    fall = last_fall(history(errors))
    assert fall.part == pytest.approx(part)
    assert fall.unconverged == (part > 0.05)


def test_the_quantity_that_falls_most_decides():
    records = [
        EpochRecord(k, k, 1.0, 0.1, 1.0, 1.0, {"forces": 10.0, "energy": 30.0 - 2.0 * k}, {}, False)
        for k in range(10)
    ]
    assert last_fall(records).quantity == "energy"


def test_validations_that_were_left_out_and_short_runs_are_not_judged():
    records = history([5.0, 4.0, 3.0, 2.0])
    assert last_fall(records) is None
    gaps = [r for k, r in enumerate(history([float(30 - k) for k in range(20)])) if k % 4 == 3]
    assert last_fall(gaps).part == pytest.approx(1 - 11 / 15)


def test_a_run_says_how_it_came_to_be(runs, folder):
    run = runs[0]
    assert (run.name, run.path) == ("one", folder / "run")
    assert len(run.history) == 6
    assert run.config.seed == 1
    assert len(run.data_hash) == 64
    assert run.cost["peak_memory_bytes"] > 1e6


def test_what_is_no_run_and_a_run_without_model_are_refused(folder, tmp_path):
    with pytest.raises(RunError, match="is no run directory: it has no config.yaml"):
        read_run(tmp_path, "x")
    shutil.copy(folder / "run" / "config.yaml", tmp_path)
    with pytest.raises(RunError, match="has no model yet.*--resume"):
        read_run(tmp_path, "x")


def test_a_line_that_is_being_written_is_left_out(folder, tmp_path):
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "metrics.jsonl").write_text("".join(lines[:3]) + lines[3][:20])
    assert len(read_history(tmp_path / "metrics.jsonl")) == 3
    assert json.loads(lines[0])["epoch"] == 0


def test_relative_data_begin_in_a_folder_and_bundled_ones_stay(tmp_path):
    data = {"train": ["a.xyz", "bundled:malonaldehyde/train_300K"], "tests": {"t": "b/c.xyz"}}
    moved = with_data_folder(config(tmp_path, data=data), tmp_path).data
    assert moved.train == (str(tmp_path / "a.xyz"), "bundled:malonaldehyde/train_300K")
    assert moved.tests == {"t": (str(tmp_path / "b" / "c.xyz"),)}
    assert moved.valid == 3
