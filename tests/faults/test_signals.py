"""What schedulers and people send to `multiace train`, and what it answers."""

from __future__ import annotations

import signal

import pytest
import yaml
from tests.training import runs, tiny

from multiace.checkpoint import read_tensors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_command_saves_and_exits_with_the_documented_code(server, tmp_path, number, code):
    out = tmp_path / "run"
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(tiny.config_fields(tmp_path, epochs=500)))
    command = ("train", str(tmp_path / "run.yaml"))
    metrics = str(out / "metrics.jsonl")
    assert server.run(out=out, arguments=command, signal=number, after=metrics) == code
    printed = (tmp_path / "run.output").read_text()
    assert f"Stopped by signal {number.value}" in printed
    assert "Continue with --resume" in printed
    content, _ = read_tensors(runs.last_checkpoint(out), "checkpoint")
    step = content["progress"]["step"]
    assert f"after step {step};" in printed
    again = (*command, "--resume", "--quiet", "--set", "epochs=" + str(step // 5 + 2))
    assert server.run(out=out, arguments=again) == 0


def test_a_second_run_in_the_same_directory_is_refused_with_the_name_of_the_first(server, tmp_path):
    from multiace.training.run_directory import open_run

    (tmp_path / "run.yaml").write_text(yaml.safe_dump(tiny.config_fields(tmp_path)))
    with open_run(tmp_path / "run", resume=False, note=print):
        command = ("train", str(tmp_path / "run.yaml"))
        assert server.run(out=tmp_path / "run", arguments=command) == 2
    assert "is in use by process" in (tmp_path / "run.output").read_text()


def test_a_config_error_exits_with_2_before_any_data_are_read(server, tmp_path):
    fields = tiny.config_fields(tmp_path)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(fields))
    (tmp_path / "train.xyz").unlink()
    command = ("train", str(tmp_path / "run.yaml"), "--set", "loss.enery=1")
    assert server.run(out=tmp_path / "run", arguments=command) == 2
    printed = (tmp_path / "run.output").read_text()
    assert "'loss.enery' is not an option. Did you mean 'loss.energy'?" in printed
    assert not (tmp_path / "run").exists()
