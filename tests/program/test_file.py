"""Program files: what they hold, and that executors notice damage."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tests.kernels.compiled import needs_compiled
from tests.program.cases import potential

from multiace.kernels.cpu.executor import Executor
from multiace.program import Program, build_program, to_bytes


@pytest.fixture(scope="module")
def program() -> Program:
    return build_program(potential("by pair", torch.float32), elements=(1, 6), exact=True)


def test_other_programs_can_read_the_file(program, tmp_path):
    path = tmp_path / "x.program.safetensors"
    path.write_bytes(to_bytes(program))
    with safe_open(path, framework="np") as file:
        metadata, header = file.metadata(), file.get_tensor("header")
        elements, cutoff = file.get_tensor("elements"), file.get_tensor("settings")[0]
    assert metadata["format"] == "multiace program"
    assert json.loads(metadata["terms"]) == list(program.names)
    assert header[0] == 1
    assert header[8:].tolist() == [4, 1]
    np.testing.assert_array_equal(elements, [1, 6])
    assert cutoff == program.cutoff


def test_numbers_lie_at_multiples_of_their_size(program):
    data = to_bytes(program)
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    sizes = {"I64": 8, "F64": 8, "F32": 4}
    for name, entry in header.items():
        if name != "__metadata__":
            assert (start + entry["data_offsets"][0]) % sizes[entry["dtype"]] == 0


def test_the_checksum_is_that_of_the_file_without_it(program):
    data = bytearray(to_bytes(program))
    start = 8 + int.from_bytes(data[:8], "little")
    place = start + json.loads(data[8:start])["checksum"]["data_offsets"][0]
    found = int.from_bytes(data[place : place + 8], "little")
    data[place : place + 8] = bytes(8)
    assert found == zlib.crc32(data)


def test_the_digest_tells_weights_apart(program):
    other = replace(program, terms=program.terms + 1e-9)
    assert other.digest != program.digest
    assert replace(program, provenance={"a": 1}).digest == program.digest


@needs_compiled
def test_a_flipped_bit_is_noticed(program, rng):
    data = to_bytes(program)
    for _ in range(100):
        flipped = bytearray(data)
        flipped[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        with pytest.raises(ValueError, match="program|file|header|checksum"):
            Executor(bytes(flipped))


MISTAKES = (
    ("header", 0, 2),
    ("header", 1, 7),
    ("header", 7, 99),
    ("header", 8, 2),
    ("settings", 0, float("nan")),
    ("settings", 1, -1.0),
    ("elements", 1, 1),
    ("elements", 1, 200),
    ("arrays", 0, -1),
    ("operations", 0, 10**6),
    ("operations", 1, 99),
    ("operations", 2, 9),
    ("operations", 3, 99),
    ("operations", 4, 99),
    ("operations", 5, 99),
    ("features", 0, -1),
    ("reads", 0, 99),
    ("terms", 0, float("inf")),
    ("constant.0", 0, float("nan")),
    ("table.0", 1, 30),
)


@needs_compiled
@pytest.mark.parametrize(("name", "index", "value"), MISTAKES)
def test_a_program_that_makes_no_sense_is_refused(name, index, value, program):
    """The checksum is right: what is wrong are the words."""
    changed = program.tensors[name].clone()
    changed.view(-1)[index] = value
    damaged = replace(program)
    damaged.__dict__["tensors"] = program.tensors | {name: changed}
    with pytest.raises(ValueError, match=r"Export|format"):
        Executor(to_bytes(damaged))
