"""Real processes killed at random moments: nothing is lost but the steps since a checkpoint."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from tests.training import runs, tiny

from multiace.checkpoint import read_tensors

N_KILLS = 30
INTERVAL = 2
"""Steps between checkpoints in the processes that are killed."""


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory):
    """Return the run directory of a run that was left alone, and the seconds it took."""
    directory = tmp_path_factory.mktemp("whole")
    tiny.config(directory)  # writes the data
    started = time.monotonic()
    assert server.run(out=directory / "run") == 0
    return directory / "run", time.monotonic() - started


def _steps_done(out: Path) -> int:
    trace = out.with_suffix(".steps")
    return max(map(int, trace.read_text().split()), default=0) if trace.exists() else 0


def _newest_step(out: Path) -> int | None:
    """Return the step of the newest checkpoint, which must be whole, as must all others."""
    steps = []
    for path in out.glob("checkpoints/step-*.safetensors"):
        content, _ = read_tensors(path, "checkpoint")
        steps.append(content["progress"]["step"])
    if (out / "model.safetensors").exists():
        read_tensors(out / "model.safetensors", "model")
    return max(steps, default=None)


def _beside_same_data(whole: Path, directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "train.xyz").write_bytes((whole.parent / "train.xyz").read_bytes())
    return directory / "run"


def test_thirty_kills_at_random_moments_lose_nothing(server, whole, tmp_path):
    reference, seconds = whole
    generator = random.Random(0)
    kills = finished = before = 0
    out = _beside_same_data(reference, tmp_path / "0")
    while kills < N_KILLS or finished == 0:
        kill = {"signal": signal.SIGKILL, "after": generator.uniform(0.0, 0.7 * seconds)}
        status = server.run(out=out, resume=True, **(kill if kills < N_KILLS else {}))
        assert status in (0, -signal.SIGKILL)
        newest = _newest_step(out)
        if newest is None:
            assert _steps_done(out) == 0
        else:
            assert newest >= before, "a checkpoint was lost"
            assert newest >= _steps_done(out) - INTERVAL, "more than one interval was lost"
            before = newest
        kills += status != 0
        if status == 0:
            finished += 1
            runs.assert_same_run(reference, out)
            out, before = _beside_same_data(reference, tmp_path / str(finished)), 0


@pytest.mark.parametrize("call", [5, 6, 9, 10], ids=lambda call: f"call {call}")
@pytest.mark.parametrize("function", ["fsync", "replace", "unlink"])
def test_a_kill_inside_a_save_leaves_a_whole_checkpoint(server, whole, tmp_path, function, call):
    reference, _ = whole
    out = _beside_same_data(reference, tmp_path)
    assert server.run(out=out, kill_at=(function, call)) == -signal.SIGKILL
    assert _newest_step(out) is not None or _steps_done(out) == 0
    assert server.run(out=out, resume=True) == 0
    runs.assert_same_run(reference, out)
    assert not list(out.glob("**/.*.tmp"))
