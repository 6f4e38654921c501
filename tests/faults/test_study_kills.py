"""Studies whose workers and parent are killed: no run is lost, none is done twice."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from tests.faults.studies import CHECKPOINT_STEPS, N_WORKER_KILLS
from tests.study import tiny

from multiace.study.ledger import Claim, Ledger, read_json
from multiace.study.prepare import read_plan

STEPS_OF_A_RUN = 4 * 5
N_RUNS = 6


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory) -> Path:
    """Return the directory of a study that was left alone."""
    directory = tmp_path_factory.mktemp("whole")
    assert server.run(out=directory / "study", function="tests.faults.studies:run") == 0
    return directory / "study"


def errors(out: Path) -> list[dict]:
    """Return all evaluations of a study without the clock, in the order of its runs."""
    plan, ledger = read_plan(out), Ledger(out)
    found = []
    for row in plan["runs"]:
        for content in plan["evaluations"].values():
            evaluation = ledger.evaluation(row["name"], content["id"])
            assert evaluation is not None
            evaluation.pop("microseconds_per_atom", None)
            found.append(evaluation)
    return found


def endings(out: Path) -> list[list[str]]:
    """Return how each attempt of each run ended."""
    ledger = Ledger(out)
    rows = []
    for row in read_plan(out)["runs"]:
        last = ledger.last_claim(row["name"])
        assert last is not None
        ends = (read_json(Claim(last.run, n).end_path) for n in range(1, last.number + 1))
        rows.append(["killed" if end is None else end["how"] for end in ends])
    return rows


def unsaid(out: Path) -> int:
    """Count runs that are done but whose last attempt could not say so: killed in between."""
    plan, ledger = read_plan(out), Ledger(out)
    evaluations = [content["id"] for content in plan["evaluations"].values()]
    assert all(ledger.is_done(row["name"], evaluations) for row in plan["runs"])
    return sum(attempts[-1] != "done" for attempts in endings(out))


def steps_done(out: Path) -> int:
    return len(out.with_suffix(".steps").read_text().split())


def beside_same_data(whole: Path, directory: Path) -> Path:
    for name in ("train", "test", "far"):
        (directory / f"{name}.xyz").write_bytes((whole.parent / f"{name}.xyz").read_bytes())
    return directory / "study"


def test_a_study_left_alone_does_each_run_once(whole):
    assert endings(whole) == [["done"]] * N_RUNS
    assert steps_done(whole) == N_RUNS * STEPS_OF_A_RUN


def test_killed_workers_lose_no_run_and_do_none_twice(server, whole, tmp_path):
    out = beside_same_data(whole, tmp_path)
    assert server.run(out=out, function="tests.faults.studies:run_with_kills") == 0
    kills = int((out / "kills").read_text())
    assert kills == N_WORKER_KILLS
    assert unsaid(out) <= kills
    assert all("done" not in attempts[:-1] for attempts in endings(out))
    assert sum(map(len, endings(out))) > N_RUNS
    assert steps_done(out) <= N_RUNS * STEPS_OF_A_RUN + kills * CHECKPOINT_STEPS
    assert errors(out) == errors(whole)


def test_a_killed_parent_is_followed_by_one_that_does_what_is_missing(server, whole, tmp_path):
    out = beside_same_data(whole, tmp_path)
    names = [row["name"] for row in read_plan(whole)["runs"]]
    done = str(out / "runs" / names[1] / "result.json")
    request = {"out": out, "function": "tests.faults.studies:run"}
    assert server.run(**request, signal=signal.SIGKILL, after=done) == -signal.SIGKILL
    missing = [name for name in names if Ledger(out).result(name) is None]
    assert missing
    assert server.run(**request) == 0
    assert unsaid(out) <= 2
    assert steps_done(out) <= N_RUNS * STEPS_OF_A_RUN + 2 * CHECKPOINT_STEPS
    assert errors(out) == errors(whole)


@pytest.mark.slow
def test_a_study_stopped_by_sigterm_says_so_and_goes_on(server, whole, tmp_path):
    out = beside_same_data(whole, tmp_path)
    path = tiny.write(tmp_path, tiny.study_fields(tmp_path, budget={"epochs": 2000}, out=str(out)))
    first = str(out / "plan.json")
    arguments = ("study", "run", str(path), "--workers", "1")
    assert server.run(out=out, arguments=arguments, signal=signal.SIGTERM, after=first) == 143
    assert not list(out.glob("runs/*/result.json"))
    assert json.loads((out / "plan.json").read_text())["runs"][0]["epochs"] == 2000
