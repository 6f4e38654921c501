from __future__ import annotations

import pytest
from tests.study import tiny
from tests.study.test_runner import Here

from multiace.study import read_study
from multiace.study.ledger import Ledger, read_json
from multiace.study.prepare import read_plan
from multiace.study.runner import run_study
from multiace.study.status import read_status


def search(directory, **plan):
    content = tiny.study_fields(directory, budget={"epochs": 1})
    content["plan"] = {"kind": "search", "trials": 4, **plan}
    return read_study(tiny.write(directory, content))


def run(study, directory) -> list[str]:
    executor = Here(directory / "study")
    run_study(study, directory / "study", executor)
    return executor.done


@pytest.mark.slow
def test_a_search_goes_on_with_the_trials_it_would_have_taken(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    run(search(tmp_path / "whole"), tmp_path / "whole")
    first = run(search(tmp_path / "parts", trials=2), tmp_path / "parts")
    second = run(search(tmp_path / "parts"), tmp_path / "parts")
    assert not set(first) & set(second)
    trials = [read_json(tmp_path / d / "study/search.json")["trials"] for d in ("whole", "parts")]
    assert len(trials[0]) == len(trials[1]) == 4
    assert trials[0][:2] == trials[1][:2]
    assert read_status(tmp_path / "parts" / "study").is_done
    assert run(search(tmp_path / "parts"), tmp_path / "parts") == []


@pytest.mark.slow
def test_a_search_by_error_and_cost_takes_all_trials(tmp_path):
    run(search(tmp_path, trials=3, objectives="error and cost", sampler="nsga2"), tmp_path)
    assert len(read_json(tmp_path / "study/search.json")["trials"]) == 3


def test_a_pruned_run_is_neither_done_nor_begun_again(tmp_path):
    study = search(tmp_path, trials=1)
    run(study, tmp_path)
    ledger, (row,) = Ledger(tmp_path / "study"), read_plan(tmp_path / "study")["runs"]
    (ledger.run_path(row["name"]) / "result.json").unlink()
    ledger.prune(row["name"])
    assert run(study, tmp_path) == []
    assert read_status(tmp_path / "study").runs[0].state == "pruned"


@pytest.mark.slow
def test_a_search_prunes_runs_that_are_worse_than_the_median(tmp_path):
    from multiace.study.local import LocalProcesses

    content = tiny.study_fields(tmp_path, budget={"epochs": 60})
    rates = {str(rate): {"optimiser.rate": rate} for rate in (0.01, 0.02, 0.005, 1e-7, 1e-8, 1e-9)}
    content["factors"] = {"rate": rates}
    content["plan"] = {"kind": "search", "trials": 14, "pruning": True}
    study = read_study(tiny.write(tmp_path, content))
    status = run_study(study, tmp_path / "study", LocalProcesses(tmp_path / "study", 2, "spawn"))
    assert status.is_done
    assert 0 < status.count("pruned") < len(status.runs)
