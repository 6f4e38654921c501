"""What the benchmark against other codes does with times, structures and tables."""

import numpy as np
import pytest
import torch
from benchmarks.cpu import operations, report
from benchmarks.cpu.cases import Options
from benchmarks.cpu.measure import Effort, in_turns, machine
from benchmarks.cpu.options import words
from benchmarks.cpu.systems import jitters, molecules, silicon


def section(threads: int = 1, *, valid: bool = True) -> dict:
    def times(processor: float, wall: float) -> dict:
        return {
            clock: {"median": median, "iqr": 0.1, "min": median}
            for clock, median in (("processor_ms", processor), ("wall_ms", wall))
        }

    return {
        "threads": threads,
        "times": {
            "peer eager": times(90.0, 80.0),
            "peer compiled": times(60.0, 70.0),
            "exact": times(3.0, 2.0),
        },
        "load": {"valid": valid},
    }


def content(**options: bool) -> dict:
    case = {"energy_forces": section(**options), "training_step": section()}
    return {"peers": {"mace": {"cases": {"mace8_si8": case}}}}


def test_cases_are_chosen_by_patterns_of_their_names():
    assert Options().wants("mace128_si64")
    only = Options(only=("*_threads2", "nequip*"))
    names = ["mace128_si64", "mace128_si64_threads2", "nequip32_si64"]
    assert [only.wants(name) for name in names] == [False, True, True]
    assert words(only)[-3:] == ["--only", "*_threads2", "nequip*"]


def test_ratio_is_against_the_fastest_mode_of_the_peer():
    record = report.compare(section(), "exact")
    assert record["ratio"] == pytest.approx(20.0)
    assert record["peer_mode"] == "compiled"


def test_several_threads_are_timed_on_the_wall():
    assert report.compare(section(threads=2), "exact")["ratio"] == pytest.approx(35.0)


def test_a_busy_machine_makes_the_result_invalid_but_not_absent():
    summary = report.summarise(content(valid=False))
    assert not summary["valid"]
    assert summary["invalid"] == ["mace8_si8_energy_forces"]
    assert summary["mace8_si8_energy_forces"] == pytest.approx(20.0)


def test_tables_replace_what_stands_between_the_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n", encoding="utf-8")
    report.put_into(page, "new\n")
    expected = f"above\n{report.BEGIN}\nnew\n{report.END}\nbelow\n"
    assert page.read_text(encoding="utf-8") == expected
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for tables"):
        report.put_into(page, "new\n")


def test_contenders_are_called_equally_often_in_alternating_order():
    calls: list[str] = []
    contenders = {name: lambda name=name: calls.append(name) for name in "ab"}
    times, load = in_turns(contenders, Effort(rounds=2, seconds=0.0))
    assert [times[name]["calls"] for name in "ab"] == [2, 2]
    assert "".join(calls[-8:]) == "aabbbbaa"
    assert load["load_limit"] > 0.0


def test_molecules_have_the_size_and_elements_of_3bpa():
    batch = molecules(2)
    assert [len(atoms) for atoms in batch] == [27, 27]
    assert set(batch[0].get_chemical_symbols()) == set("HCNO")
    distances = batch[0].get_all_distances()[np.triu_indices(27, 1)]
    assert distances.min() > 0.8
    assert not np.allclose(batch[0].positions, batch[1].positions)


def test_displacements_are_the_same_every_time():
    assert np.array_equal(jitters(8), jitters(8))
    assert len(silicon(1)) == 8


def test_machine_is_described():
    assert {"processor", "torch", "flags"} <= machine().keys()


def test_every_operation_has_a_rate_in_every_pass():
    before = torch.get_num_threads()
    try:
        result = operations.measure(tiny=True)
    finally:
        torch.set_num_threads(before)
    assert {row["pass"] for row in result["rows"]} == set(operations.PASSES)
    assert all(row["gflops"] > 0.0 for row in result["rows"])
