"""Several models at once: errors are told, nothing is left running."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from multiace.demo.workers import DemoError, train_models

pytestmark = pytest.mark.slow


def test_an_error_of_one_model_names_it_and_ends_the_others(tmp_path):
    (tmp_path / "mace").write_text("in the way")
    with pytest.raises(DemoError, match="MACE could not be trained"):
        train_models(["BOTNet", "MACE"], tmp_path, 50, 0, n_workers=2, show=lambda: None)
    assert not multiprocessing.active_children()


def test_a_demo_of_other_settings_is_not_overwritten(tmp_path):
    train_models(["BOTNet"], tmp_path, 1, 0, n_workers=1, show=lambda: None)
    before = (tmp_path / "botnet" / "model.safetensors").read_bytes()
    with pytest.raises(DemoError, match="seed: 0 -> 1"):
        train_models(["BOTNet"], tmp_path, 1, 1, n_workers=1, show=lambda: None)
    assert (tmp_path / "botnet" / "model.safetensors").read_bytes() == before


def test_ctrl_c_saves_the_runs_and_ends_without_traceback(tmp_path):
    command = [sys.executable, "-m", "multiace", "demo", "--epochs", "200", "--out", tmp_path]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 300.0
    while not list(tmp_path.glob("*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(2.0)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert list(tmp_path.glob("*/checkpoints/*.safetensors"))
