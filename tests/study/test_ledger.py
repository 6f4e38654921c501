from __future__ import annotations

import os
import subprocess
import sys

import pytest

from multiace.study.ledger import (
    GRACE,
    MOST_DEATHS,
    SILENCE,
    Claim,
    Ledger,
    create_file,
    is_alive,
    read_json,
    started,
    write_json,
)


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path)


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def dead_claim(ledger: Ledger, name: str = "a") -> Claim:
    """Claim a run for a process that is gone."""
    claim = ledger.claim(name)
    assert claim is not None
    content = read_json(claim.path)
    write_json(claim.path, {**content, "pid": dead_process()})
    age(claim, GRACE + 1)
    return claim


def age(claim: Claim, seconds: float) -> None:
    then = claim.path.stat().st_mtime - seconds
    os.utime(claim.path, (then, then))


def test_a_run_is_claimed_once(ledger):
    assert ledger.state("a", []) == "waiting"
    assert ledger.claim("a") is not None
    assert ledger.claim("a") is None
    assert ledger.state("a", []) == "running"


def test_only_one_of_two_takes_over_from_a_dead_process(ledger, monkeypatch):
    first = dead_claim(ledger)
    monkeypatch.setattr(Ledger, "last_claim", lambda self, name: first)  # what both have seen
    claims = [ledger.claim("a"), ledger.claim("a")]
    assert [claim is None for claim in claims] == [False, True]
    assert claims[0].number == 2


def test_a_claim_of_a_live_process_stands_however_old_its_heartbeat(ledger):
    claim = ledger.claim("a")
    age(claim, 10 * SILENCE)
    assert is_alive(claim)


def test_a_process_number_that_was_given_to_another_process_counts_as_dead(ledger):
    claim = ledger.claim("a")
    write_json(claim.path, {**read_json(claim.path), "started": "1"})
    age(claim, GRACE + 1)
    assert not is_alive(claim)


def test_a_claim_of_another_machine_lives_by_its_heartbeat(ledger):
    claim = ledger.claim("a")
    write_json(claim.path, {**read_json(claim.path), "host": "elsewhere"})
    age(claim, SILENCE / 2)
    assert is_alive(claim)
    age(claim, 2 * SILENCE)
    assert not is_alive(claim)
    claim.touch()
    assert is_alive(claim)


def test_a_stopped_run_waits_and_a_failed_one_does_not_unless_asked(ledger):
    ledger.claim("a").end("stopped")
    assert ledger.state("a", []) == "waiting"
    ledger.claim("a").end("failed", "Traceback ...\nValueError: no")
    assert ledger.state("a", []) == "failed"
    assert ledger.failure("a").endswith("ValueError: no")
    assert ledger.claim("a") is None
    assert ledger.claim("a", retry=True) is not None


def test_a_run_that_dies_again_and_again_where_it_was_fails(ledger):
    for _ in range(MOST_DEATHS):
        assert ledger.state("a", []) == "waiting"
        dead_claim(ledger)
    assert ledger.state("a", []) == "failed"
    assert "died 3 times without reaching a new checkpoint" in ledger.failure("a")


def test_a_run_that_comes_further_each_time_may_die_often(ledger):
    checkpoints = ledger.run_path("a") / "checkpoints"
    checkpoints.mkdir(parents=True)
    for number in range(2 * MOST_DEATHS):
        dead_claim(ledger)
        (checkpoints / f"step-{number:010d}.safetensors").touch()
    assert ledger.state("a", []) == "waiting"


def test_a_run_is_done_when_it_is_trained_and_judged(ledger):
    write_json(ledger.run_path("a") / "result.json", {})
    assert ledger.state("a", ["test-1"]) == "waiting"
    write_json(ledger.run_path("a") / "evaluations" / "test-1.json", {})
    assert ledger.state("a", ["test-1"]) == "done"
    assert ledger.state("a", ["test-1", "scan-2"]) == "waiting"


def test_a_file_is_created_once_and_then_left_alone(tmp_path):
    path = tmp_path / "a.json"
    assert create_file(path, {"n": 1})
    assert not create_file(path, {"n": 2})
    assert read_json(path) == {"n": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_process_has_a_start_and_a_dead_one_has_none():
    assert started(os.getpid()) is not None
    assert started(dead_process()) is None
