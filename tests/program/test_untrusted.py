"""Mutated program files are refused, or can be run: no crash, and bounded memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from tests.program.cases import potential

from multiace.program import build_program, to_bytes

CSRC = Path(__file__).parents[2] / "csrc"
READER = ("program.cpp", "program_check.cpp", "tensor_file.cpp")
EXECUTOR = (
    "convolution_paths.cpp",
    "executor.cpp",
    "gate.cpp",
    "gemm.cpp",
    "linear.cpp",
    "polynomial_product.cpp",
    "polynomial_product_pack.cpp",
    "radial_basis.cpp",
    "radial_network.cpp",
    "threads.cpp",
    "topology.cpp",
)

PROGRAMS = (
    ("zbl inside", True, torch.float64),
    ("agnesi", True, torch.float32),
    ("jacobi of agnesi", True, torch.float64),
    ("normalised agnesi", True, torch.float32),
    ("density", False, torch.float64),
    ("by pair", True, torch.float64),
    ("norm", False, torch.float32),
    ("identity self-connection", False, torch.float64),
    ("pooled by element, sender", True, torch.float64),
    ("pooled by element, density", False, torch.float32),
)
"""Together they have every operation."""

FAULTS = {
    "ASAN_OPTIONS": "max_allocation_size_mb=512:hard_rss_limit_mb=1024:detect_leaks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}
COMPILER = shutil.which("g++")
FLAGS = (
    "-std=gnu++17",
    "-g1",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-Wno-psabi",
)


def compiled(folder: Path, sources: tuple[str, ...], *flags: str) -> Path:
    """Compile the program that mutates with some of csrc/, or skip the test."""
    if COMPILER is None or not CSRC.exists():
        pytest.skip("needs g++ and csrc/")
    program = folder / "fuzz"
    paths = [str(Path(__file__).with_name("fuzz.cpp")), *(str(CSRC / name) for name in sources)]
    command = [COMPILER, *FLAGS, *flags, "-I", str(CSRC), *paths, "-o", str(program)]
    done = subprocess.run([*command, "-lpthread"], capture_output=True, text=True, check=False)
    if "cannot find" in done.stderr and "san" in done.stderr:
        pytest.skip("needs the sanitizers of g++")
    assert done.returncode == 0, done.stderr
    return program


def mutate(fuzz: Path, file: Path, n: int, *sealed: str) -> list[int]:
    """Return how many files were refused, read and run."""
    done = subprocess.run(
        [str(fuzz), str(file), "20261201", str(n), *sealed],
        env={**os.environ, **FAULTS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[:5000]
    return [int(part.split()[0]) for part in done.stdout.split(",")][:3]


def write(folder: Path, name: str, exact: bool, dtype: torch.dtype) -> Path:
    path = folder / "x.program.safetensors"
    path.write_bytes(to_bytes(build_program(potential(name, dtype), elements=(1, 8), exact=exact)))
    return path


def test_mutated_files_are_refused_or_make_sense(tmp_path):
    fuzz = compiled(tmp_path, READER, "-O0")
    path = write(tmp_path, *PROGRAMS[0])
    assert mutate(fuzz, path, 500) == [500, 0, 0]
    refused, read, _ = mutate(fuzz, path, 500, "sealed")
    assert refused > read > 0


@pytest.mark.slow
def test_ten_thousand_mutated_files_are_refused_or_run(tmp_path):
    fuzz = compiled(tmp_path, (*READER, *EXECUTOR), "-O1", "-DMULTIACE_EXECUTOR")
    total = 0
    for program in PROGRAMS:
        path = write(tmp_path, *program)
        assert mutate(fuzz, path, 250) == [250, 0, 0]
        refused, read, ran = mutate(fuzz, path, 1000, "sealed")
        assert 0 < ran <= read < refused
        total += refused + read
    assert total == 10_000
