"""Ray gives what local processes give."""

from __future__ import annotations

import pytest
from tests.study import tiny
from tests.study.test_runner import Here

from multiace.study.ledger import Ledger
from multiace.study.prepare import read_plan
from multiace.study.runner import run_study


def errors(out) -> list[dict]:
    plan, ledger = read_plan(out), Ledger(out)
    found = [
        ledger.evaluation(row["name"], content["id"])
        for row in plan["runs"]
        for content in plan["evaluations"].values()
    ]
    return [{k: v for k, v in one.items() if k != "microseconds_per_atom"} for one in found]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_gives_the_numbers_of_local_runs_to_the_last_bit(tmp_path):
    pytest.importorskip("ray")
    from multiace.study.cluster import RayTasks

    study = tiny.study(tmp_path)
    local, ray = tmp_path / "local", tmp_path / "ray"
    run_study(study, local, Here(local))
    status = run_study(study, ray, RayTasks(ray, "local", cpus=1, gpus=0.0))
    assert status.count("done") == 6
    assert errors(ray) == errors(local)
