"""Program files: what is written is what is read, and damage is noticed."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors import safe_open
from tests.program.cases import NAMES, potential

from multiace.program import (
    Program,
    ProgramFileError,
    build_program,
    read_program,
    to_bytes,
    write_program,
)


@pytest.fixture(scope="module")
def program() -> Program:
    return build_program(potential("by pair", torch.float32), elements=(1, 6), exact=True)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_program_that_was_written_is_read_again(name, exact, tmp_path):
    written = replace(
        build_program(potential(name), elements=(1, 8), exact=exact), provenance={"from": name}
    )
    path = tmp_path / "x.program.safetensors"
    write_program(path, written)
    found = read_program(path)
    for field in ("elements", "cutoff", "dtype", "exact", "spline_error", "arrays", "names"):
        assert getattr(found, field) == getattr(written, field)
    assert found.provenance == {"from": name}
    assert found.digest == written.digest
    assert to_bytes(found) == to_bytes(written) == path.read_bytes()
    for operation, expected in zip(found.operations, written.operations, strict=True):
        assert operation.name == expected.name
        assert operation.table == expected.table
        assert (operation.inputs, operation.outputs) == (expected.inputs, expected.outputs)
    assert list(tmp_path.iterdir()) == [path]


def test_other_programs_can_read_the_file(program, tmp_path):
    path = tmp_path / "x.program.safetensors"
    write_program(path, program)
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


def test_a_flipped_bit_is_noticed(program, tmp_path, rng):
    data, path = to_bytes(program), tmp_path / "x.program.safetensors"
    for _ in range(100):
        flipped = bytearray(data)
        flipped[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(ProgramFileError, match=r"x\.program\.safetensors: "):
            read_program(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a valid safetensors file"),
        (b"\x80\x02.", "not a valid safetensors file"),
        (safetensors.torch.save({"x": torch.zeros(1)}), "'multiace program' is needed"),
        (
            safetensors.torch.save({"x": torch.zeros(1)}, {"format": "multiace program"}),
            "has no checksum",
        ),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(ProgramFileError, match=message):
        read_program(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ProgramFileError, match="nowhere"):
        read_program(tmp_path / "nowhere")


MISTAKES = (
    ("header", 0, 2, "has format 2"),
    ("header", 1, 7, "the header counts"),
    ("header", 5, 2, "list index"),
    ("header", 7, 99, "what was not written"),
    ("header", 8, 2, "makes no sense"),
    ("settings", 0, float("nan"), "cutoff"),
    ("settings", 1, -1.0, "spline errors"),
    ("elements", 1, 1, "elements do not ascend"),
    ("elements", 1, 200, "an element does not exist"),
    ("arrays", 0, -1, "no position"),
    ("operations", 0, 0, "words"),
    ("operations", 0, 10**6, "words"),
    ("operations", 1, 99, "no code"),
    ("operations", 2, 9, "in layer 9"),
    ("operations", 3, 99, "list index"),
    ("operations", 4, 99, "has 99 words"),
    ("operations", 5, 99, "out of range"),
    ("features", 0, -1, "results are not written"),
    ("reads", 0, 99, "results are not written"),
    ("terms", 0, float("inf"), "terms is nan"),
    ("constant.0", 0, float("nan"), "constant.0 is nan"),
    ("table.0", 1, 3, "digest"),
)


@pytest.mark.parametrize(("name", "index", "value", "message"), MISTAKES)
def test_a_program_that_makes_no_sense_is_refused(name, index, value, message, program, tmp_path):
    """Checksum and digest are right: what is wrong are the words."""
    path = tmp_path / "x.program.safetensors"
    changed = program.tensors[name].clone()
    changed.view(-1)[index] = value
    damaged = replace(program)
    damaged.__dict__["tensors"] = program.tensors | {name: changed}
    path.write_bytes(to_bytes(damaged))
    with pytest.raises(ProgramFileError, match=message):
        read_program(path)
