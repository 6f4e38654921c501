"""docs/programs.md: its example in C gives the numbers of Python, and its tables are complete."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.kernels.compiled import needs_compiled

from multiace import Potential, Structure, presets
from multiace.design import Statistics
from multiace.geometry import build_graph
from multiace.kernels.cpu.library import library
from multiace.program import OPERATIONS, Plan, build_program, to_bytes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/programs.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def potential() -> Potential:
    statistics = Statistics(mean_neighbours=28.0, atomic_energies={"Si": -158.0})
    return Potential(presets.mace("small"), (14,), statistics)


@needs_compiled
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_program_in_c_gives_the_numbers_of_python(potential, tmp_path):
    folder = library().path.parent
    if not (folder / "libmultiace.so").exists():
        pytest.skip("libmultiace.so is not installed")
    (code,) = re.findall(r"```c\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "dimer.c").write_text(code, encoding="utf-8")
    (tmp_path / "silicon.program.safetensors").write_bytes(to_bytes(build_program(potential)))
    options = ["-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'csrc/include'}"]
    link = [f"-L{folder}", "-lmultiace", f"-Wl,-rpath,{folder}", "-lm"]
    subprocess.run(["cc", *options, "dimer.c", "-o", "dimer", *link], cwd=tmp_path, check=True)
    run = ["./dimer", "silicon.program.safetensors"]
    found = subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    dimer = Structure(numbers=np.array([14, 14]), positions=np.array([[0, 0, 0], [0, 0, 2.35]]))
    expected = Plan(potential).evaluate(build_graph(dimer, potential.cutoff, (14,)))
    for line in found.splitlines():
        energy, force = (float(number) for number in re.findall(r"(\S+) eV", line))
        assert energy == pytest.approx(float(expected.energy), abs=2e-6)
        assert force == pytest.approx(float(expected.forces[1, 2]), abs=2e-6)
    assert len(found.splitlines()) == 2


def test_every_operation_has_its_row():
    rows = re.findall(r"^\| (\d+) \| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    assert [(int(code), name) for code, name in rows] == list(enumerate(OPERATIONS, 1))


def test_every_tensor_of_a_file_has_its_row(potential):
    names = set(
        re.findall(r"^\| `([a-z]+)(?:\.0)?`", PAGE.partition("| tensor |")[2], re.MULTILINE)
    )
    found = {name.partition(".")[0] for name in build_program(potential).tensors}
    assert found | {"checksum"} == names
