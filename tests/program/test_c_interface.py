"""Programs in C that link to libmultiace.so get the numbers of the potential."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.kernels.compiled import needs_compiled
from tests.laws.systems import METHANOL
from tests.program.cases import evaluate, graph_of, potential

from multiace.kernels.cpu.library import library
from multiace.program import build_program, to_bytes

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/programs"
HEADER = ROOT / "csrc/include/multiace.h"

pytestmark = needs_compiled


def shared_library() -> Path:
    path = library().path.with_name("libmultiace.so")
    if not path.exists():
        pytest.skip("needs libmultiace.so: run `make kernels`")
    return path


def compiled(folder: Path, name: str) -> Path:
    """Compile an example, without a warning."""
    compiler, libraries = shutil.which("cc"), str(shared_library().parent)
    if compiler is None:
        pytest.skip("needs a C compiler")
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    flags += ["-I", str(HEADER.parent), "-L", libraries, f"-Wl,-rpath,{libraries}"]
    program = folder / name
    command = [
        compiler,
        *flags,
        str(EXAMPLES / f"{name}.c"),
        "-lmultiace",
        "-lm",
        "-o",
        str(program),
    ]
    subprocess.run(command, check=True)
    return program


def run(program: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an example on methanol."""
    numbers, positions = METHANOL.numbers.tolist(), METHANOL.positions.tolist()
    lines = [" ".join(map(repr, (z, *x))) for z, x in zip(numbers, positions, strict=True)]
    return subprocess.run(
        [str(program), *map(str, arguments)],
        input="\n".join(lines),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def numbers_after(word: str, text: str) -> np.ndarray:
    lines = [line.split(": ", 1)[1] for line in text.splitlines() if line.startswith(word)]
    return np.array([[float(x) for x in re.findall(r"[-+]?\d[-+.\de]*", line)] for line in lines])


@pytest.fixture
def program_file(tmp_path) -> Path:
    path = tmp_path / "x.program.safetensors"
    path.write_bytes(to_bytes(build_program(potential("mace"), exact=True)))
    return path


def test_a_program_in_c_gives_energy_and_forces_of_the_potential(program_file, tmp_path):
    done = run(compiled(tmp_path, "evaluate"), program_file)
    assert done.returncode == 0, done.stderr
    model = potential("mace")
    expected = evaluate(model, graph_of(model, (METHANOL,)))
    assert expected.forces is not None
    energy, forces = (numbers_after(word, done.stdout) for word in ("energy", "force"))
    np.testing.assert_allclose(energy[0], expected.energy.numpy(), rtol=1e-13)
    largest = float(expected.forces.abs().max())
    np.testing.assert_allclose(forces, expected.forces.numpy(), rtol=0, atol=1e-12 * largest)


@pytest.mark.parametrize("name", ["mace", "nequip", "density", "pooled by element, pair"])
@pytest.mark.parametrize("exact", [True, False])
def test_two_domains_in_c_give_the_forces_of_the_whole(name, exact, tmp_path):
    path = tmp_path / "x.program.safetensors"
    path.write_bytes(to_bytes(build_program(potential(name), exact=exact)))
    done = run(compiled(tmp_path, "domains"), path)
    assert done.returncode == 0, done.stderr
    ((whole, halves),) = numbers_after("energy", done.stdout)
    assert halves == pytest.approx(whole, rel=1e-14)
    ((largest, apart),) = numbers_after("largest force", done.stdout)
    assert apart <= 1e-12 * largest


def test_errors_are_in_words(program_file, tmp_path):
    program = compiled(tmp_path, "evaluate")
    for file, message in (
        (tmp_path, r"Is a directory"),
        (tmp_path / "none", r"No such file or directory"),
        (HEADER, r"The file is no program"),
    ):
        done = run(program, file)
        assert done.returncode == 1
        assert re.search(message, done.stderr), done.stderr
    damaged = bytearray(program_file.read_bytes())
    damaged[-20] ^= 1
    program_file.write_bytes(damaged)
    assert "does not match its checksum" in run(program, program_file).stderr
    done = run(program, program_file, MULTIACE_ISA="avx3")
    assert re.search(r"'avx3', but this machine can run baseline.*unset", done.stderr)


def test_a_lesser_instruction_set_can_be_named(program_file, tmp_path):
    program = compiled(tmp_path, "evaluate")
    done, best = (run(program, program_file, **e) for e in ({"MULTIACE_ISA": "baseline"}, {}))
    forces, expected = (numbers_after("force", each.stdout) for each in (done, best))
    np.testing.assert_allclose(forces, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_a_library_that_lost_the_others_says_so(tmp_path):
    copy = tmp_path / "libmultiace.so"
    shutil.copy(shared_library(), copy)
    functions, executor = ctypes.CDLL(str(copy)), ctypes.c_void_p(1)
    functions.multiace_last_error.restype = ctypes.c_char_p
    assert functions.multiace_open(b"x", ctypes.byref(executor)) == 2
    assert executor.value is None
    message = functions.multiace_last_error().decode()
    assert message.startswith(f"There are no libmultiace_*.so in {tmp_path}")


def test_a_library_is_found_through_a_link(program_file, tmp_path):
    (tmp_path / "libmultiace.so").symlink_to(shared_library())
    functions, executor = ctypes.CDLL(str(tmp_path / "libmultiace.so")), ctypes.c_void_p()
    assert functions.multiace_open(os.fsencode(program_file), ctypes.byref(executor)) == 0
    functions.multiace_close(executor)


def test_the_library_has_every_function_of_its_header_and_no_other():
    tool = shutil.which("nm")
    if tool is None:
        pytest.skip("needs nm")
    command = [tool, "--dynamic", "--defined-only", str(shared_library())]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {line.split()[-1] for line in listed.splitlines()}
    declared = set(re.findall(r"\b(multiace_\w+)\(", re.sub(r"//.*", "", HEADER.read_text())))
    builds = {"multiace_abi_version", "multiace_instruction_set", "multiace_sources"}
    assert found == declared | builds


def test_floats_are_what_a_program_of_float32_has(tmp_path):
    path = tmp_path / "x.program.safetensors"
    path.write_bytes(to_bytes(build_program(potential("mace", torch.float32))))
    done = run(compiled(tmp_path, "domains"), path)
    assert done.returncode == 1
    assert "float64" in done.stderr
