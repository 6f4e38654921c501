"""The demo: table, report, and that the same seed gives the same errors."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from multiace.demo import run_demo
from multiace.demo.benchmark import TESTS, scans
from multiace.demo.models import MODELS, Result, config_of, seconds_per_epoch
from multiace.demo.report import introduction, next_steps, result_table
from multiace.demo.run import epochs_within, write_results


@pytest.fixture
def results(rng) -> dict[str, Result]:
    energies = {scan.name: scan.energies for scan in scans()}
    return {
        name: Result(
            parameters=1000 + rank,
            seconds=10.0 * rank,
            energy=dict.fromkeys(TESTS.values(), 10.0 + rank),
            forces=dict.fromkeys(TESTS.values(), 20.0 * (rank + 1)),
            scan_energy=dict.fromkeys(energies, 1234.5),
            scans={k: tuple(v + rng.normal(0, 0.1, len(v))) for k, v in energies.items()},
            curve=tuple((epoch, float(epoch), 300.0 / (epoch + rank)) for epoch in range(1, 6)),
        )
        for rank, name in enumerate(MODELS)
    }


def printed(content) -> str:
    console = Console(width=90, record=True, file=StringIO())
    console.print(content)
    return console.export_text()


def test_every_model_is_trained_alike():
    configs = [config_of(name, Path("out"), epochs=3, seed=1) for name in MODELS]
    assert len({config.out for config in configs}) == len(MODELS)
    same = [config.model_copy(update={"design": None, "out": ""}) for config in configs]
    assert all(config == same[0] for config in same)


def test_the_table_has_units_seconds_and_parameters(results):
    text = printed(result_table(results))
    for part in ("meV", "meV/Å", "300 K", "out of domain", "time (s)", "1,003", "O–H breaking"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 90


def test_the_end_says_what_to_type_next(tmp_path):
    text = str(next_steps(tmp_path, epochs=10))
    for command in (
        "multiace describe",
        "multiace evaluate",
        "multiace train",
        "report.html",
        "ASECalculator",
    ):
        assert command in text
    assert str(tmp_path) in str(introduction(tmp_path, 10, 0))


def test_numbers_are_written_with_their_units(results, tmp_path):
    write_results(tmp_path, results, epochs=5, seed=0)
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["units"]["forces"] == "meV/Å"
    assert content["models"]["MACE"]["energy"] == dict.fromkeys(TESTS.values(), 13.0)


def test_more_minutes_or_cores_are_more_epochs(monkeypatch):
    monkeypatch.setattr("multiace.demo.run.seconds_per_epoch", lambda name: 2.0)
    assert epochs_within(5.0, workers=2) == 63
    assert epochs_within(5.0, workers=1) == 31
    assert epochs_within(0.1, workers=1) == 1


def test_an_epoch_takes_a_time():
    assert 0.1 < seconds_per_epoch("MACE") < 1000.0


def test_epochs_and_minutes_exclude_one_another(tmp_path):
    with pytest.raises(ValueError, match="exclude one another"):
        run_demo(tmp_path, epochs=1, minutes=1.0)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_errors_and_a_demo_goes_on_where_it_was(tmp_path):
    console = Console(file=StringIO())
    first = run_demo(tmp_path / "a", epochs=1, seed=3, console=console)
    second = run_demo(tmp_path / "b", epochs=1, seed=3, console=console)
    again = run_demo(tmp_path / "a", epochs=1, seed=3, console=console)
    for name in MODELS:
        without_time = [replace(r[name], seconds=0.0, curve=()) for r in (first, second, again)]
        assert without_time[0] == without_time[1] == without_time[2]
        assert first[name].seconds == again[name].seconds
        assert (tmp_path / "a" / MODELS[name] / "model.safetensors").exists()
    for figure in ("learning_curves", "domain_errors", "scans", "layers_stretch", "worst_mace"):
        assert (tmp_path / "a" / "figures" / f"{figure}.png").stat().st_size > 20_000
    html = (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    for text in ("Four potentials for malonaldehyde", "1200 K", "radical + H atom (E0)"):
        assert text in html
    assert first["MACE"].forces["test_300K"] < first["MACE"].forces["test_1200K"]
