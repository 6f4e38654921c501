"""The command line: help without torch, errors without traceback."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from multiace.cli import main as cli
from multiace.cli.main import app

COMMANDS = ["describe", "train", "evaluate", "import", "demo", "data"]

HELP = """
import sys
from typer.testing import CliRunner
from multiace.cli.main import app

result = CliRunner().invoke(app, sys.argv[1:])
assert result.exit_code == 0, result.output
sys.stdout.write(result.output)
heavy = {"torch", "ase", "matplotlib", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""


def run(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    """Run the command line; return its exit code and what it printed to stderr."""
    monkeypatch.setattr(sys, "argv", ["multiace", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], *([command] for command in COMMANDS)])
def test_help_answers_without_importing_torch(arguments):
    done = subprocess.run(
        [sys.executable, "-c", HELP, *arguments, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout
    for command in arguments or COMMANDS:
        assert command in done.stdout


def test_import_multiace_imports_nothing_heavy():
    code = "import multiace, sys; assert not {'torch', 'numpy', 'ase'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_of_the_package_are_there_and_others_are_not():
    import multiace

    for name in multiace.__all__:
        assert getattr(multiace, name) is not None
        assert name in dir(multiace)
    with pytest.raises(AttributeError, match="no attribute 'Potentail'"):
        _ = multiace.Potentail


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "multiace", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "evaluate" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "absent.safetensors", "absent.xyz"], "absent.safetensors"),
        (["train", "absent.yaml"], "absent.yaml"),
        (["describe", "botnett"], "botnet"),
    ],
)
def test_a_mistake_of_the_user_is_one_message_and_exit_code_2(
    arguments, message, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    code, text = run(monkeypatch, capsys, *arguments)
    assert code == 2
    assert message in text
    assert text.startswith("Error: ")
    assert "Traceback" not in text


def test_the_traceback_can_be_had(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MULTIACE_TRACEBACK", "1")
    monkeypatch.setattr(sys, "argv", ["multiace", "evaluate", "absent.safetensors", "absent.xyz"])
    with pytest.raises((ValueError, OSError)):
        cli.main()


def test_a_size_for_a_file_is_refused_and_beside_a_file_for_a_preset_taken(tmp_path):
    path = tmp_path / "design.yaml"
    path.write_text("{preset: mace, size: small}")
    runner = CliRunner()
    refused = runner.invoke(app, ["describe", str(path), "--size", "small"])
    assert refused.exit_code == 2
    assert "--size small is for presets" in refused.output
    found = runner.invoke(app, ["describe", "mace", "--size", "small", "--diff", str(path)])
    assert found.exit_code == 0, found.output
    assert "are the same design" in " ".join(found.output.split())


def test_two_options_that_exclude_one_another_are_refused(monkeypatch, capsys, tmp_path):
    code, text = run(
        monkeypatch, capsys, "demo", "--epochs", "1", "--minutes", "1", "--out", tmp_path
    )
    assert code == 2
    assert "exclude one another" in text
    assert os.listdir(tmp_path) == []
