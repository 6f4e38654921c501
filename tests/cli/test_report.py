"""`multiace report`: from run directories to a page, and what is refused."""

import sys

import pytest
from tests.training.tiny import config, molecules, write

from multiace.cli import main as command_line
from multiace.training import train


def report(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["multiace", "report", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    return ended.value.code


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    train(config(folder, epochs=2), progress="none")
    return folder / "run"


def test_a_report_lies_in_the_run_directory(run, monkeypatch, capsys):
    more = write(run.parent / "more.xyz", molecules(3, seed=9))
    code = report(monkeypatch, run, "--test", f"more={more}", "--scan", f"{more}:0,1")
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert "run: too short to tell" in printed.out
    assert str(run / "report" / "report.html") in printed.out.replace("\n", "")
    figures = {path.name for path in (run / "report" / "figures").glob("*.svg")}
    assert {"learning_curves.svg", "parity.svg", "scans.svg", "worst_run.svg"} <= figures
    html = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert ">more</th>" in html


def test_mistakes_end_with_a_message(run, monkeypatch, capsys):
    assert report(monkeypatch, run.parent) == 2
    assert "is no run directory" in capsys.readouterr().err
    assert report(monkeypatch, run, run) == 2
    assert "given twice" in capsys.readouterr().err
    assert report(monkeypatch, run, "--scan", "nowhere.xyz:0,1") == 2
    assert "nowhere.xyz" in capsys.readouterr().err
