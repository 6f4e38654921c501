"""Where a run is seen."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console
from tests.training import tiny

from multiace.training import run, train
from multiace.training.log import Terminal, epoch_line
from multiace.training.metrics import EpochRecord

RECORD = EpochRecord(
    epoch=4,
    step=90,
    seconds=3671.0,
    rate=0.01,
    train_loss=0.5,
    valid_loss=0.4,
    rmse={"energy": 123.4, "energy_per_atom": 12.34, "forces": 56.78, "stress": 0.1234},
    mae={"energy": 100.0, "energy_per_atom": 10.0, "forces": 50.0, "stress": 0.1},
    best=True,
)


def test_a_line_names_every_unit():
    assert epoch_line(RECORD, 100) == (
        "epoch   5/100 | loss 5.00e-01 valid 4.00e-01 | RMSE E 123 meV, E 12.3 meV/atom, "
        "F 56.8 meV/Å, S 0.123 meV/Å^3 | rate 1.0e-02 | 1:01:11 *"
    )


def test_metrics_come_back_from_their_json():
    assert EpochRecord.from_json(json.loads(json.dumps(RECORD.to_json()))) == RECORD


def _terminal(minutes: float | None) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    terminal = Terminal(console, 100, minutes)
    terminal.step(10.0, 60.0)
    terminal.step(20.0, 120.0)
    terminal._progress.refresh()
    terminal.epoch(RECORD)
    terminal.close()
    return stream.getvalue()


def test_a_terminal_shows_epochs_and_the_time_left():
    shown = _terminal(None)
    assert "epoch 20/100" in shown
    assert "0:08:00 left" in shown
    assert "F 56.8 meV/Å" in shown


def test_the_time_left_is_at_most_the_time_limit():
    assert "0:03:00 left" in _terminal(5.0)


def test_without_a_terminal_lines_are_plain(tmp_path, capsys):
    result = train(tiny.config(tmp_path, epochs=2))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "epoch 2/2 | loss" in printed
    assert printed == (result.out / "log.txt").read_text()
    assert "RMSE (MAE)" in printed


def test_quiet_prints_nothing(tmp_path, capsys):
    train(tiny.config(tmp_path, epochs=1), progress="none")
    assert capsys.readouterr().out == ""


def test_a_function_is_given_each_record(tmp_path):
    seen = []
    result = train(tiny.config(tmp_path, epochs=2), progress=seen.append)
    assert tuple(seen) == result.history
    assert [record.epoch for record in seen] == [0, 1]


def test_tensorboard_holds_every_number(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(tiny.config(tmp_path, epochs=2, log={"tensorboard": True}), progress="none")
    found = events.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    found.Reload()
    assert "forces_rmse (meV/Å)" in found.Tags()["scalars"]
    assert [event.step for event in found.Scalars("valid_loss")] == [5, 10]


def test_wandb_is_given_the_config_the_run_and_every_number(tmp_path, monkeypatch):
    logged, begun, finished = [], {}, []
    their_run = SimpleNamespace(
        log=lambda numbers, step: logged.append((step, numbers)),
        finish=lambda: finished.append(True),
    )
    stand_in = SimpleNamespace(init=lambda **options: begun.update(options) or their_run)
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    monkeypatch.setattr(run, "check_packages", lambda config: None)
    train(tiny.config(tmp_path, epochs=2, log={"wandb": "water"}), progress="none")
    assert begun["project"] == "water"
    assert begun["config"]["epochs"] == 2
    assert [step for step, _ in logged] == [5, 10]
    assert "forces_rmse (meV/Å)" in logged[0][1]
    assert finished == [True]


@pytest.mark.parametrize("option", [{"tensorboard": True}, {"wandb": "project"}])
def test_a_package_that_is_missing_is_named_before_anything_is_read(tmp_path, monkeypatch, option):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (name,) = option
    config = tiny.config(tmp_path, log=option)
    with pytest.raises(ValueError, match=f"pip install {name}"):
        train(config, progress="none")
    assert not (tmp_path / "run").exists()
