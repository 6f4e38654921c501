"""Files that are damaged, foreign or hostile; writes that fail."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import zipfile

import pytest
import safetensors.torch
import torch

from multiace.checkpoint import tensor_file
from multiace.checkpoint.tensor_file import (
    FORMAT_VERSION,
    ModelFileError,
    read_tensors,
    write_tensors,
)

TENSORS = {
    "a": torch.arange(6, dtype=torch.float64).view(2, 3),
    "b": torch.tensor(1.5),
    "empty": torch.zeros(0, 3),
}
CONTENT = {"text": "Å", "number": 0.1, "nested": {"list": [1, 2]}}


@pytest.fixture
def path(tmp_path):
    """Return a file that is whole."""
    write_tensors(tmp_path / "file.safetensors", "model", TENSORS, CONTENT)
    return tmp_path / "file.safetensors"


def _header(data: bytes) -> tuple[dict, bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _with_header(header: dict, payload: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + payload


def _with_description(data: bytes, **changes) -> bytes:
    header, payload = _header(data)
    description = json.loads(header["__metadata__"]["multiace"]) | changes
    header["__metadata__"]["multiace"] = json.dumps(description)
    return _with_header(header, payload)


def test_what_is_written_is_read(path):
    content, tensors = read_tensors(path, "model")
    assert content == CONTENT
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert all(tensors[name].dtype == TENSORS[name].dtype for name in TENSORS)


def test_other_safetensors_readers_can_read_it(path):
    assert torch.equal(safetensors.torch.load_file(path)["a"], TENSORS["a"])


def test_the_same_content_gives_the_same_bytes(path, tmp_path):
    write_tensors(tmp_path / "again", "model", dict(reversed(TENSORS.items())), CONTENT)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_any_flipped_bit_is_found(path):
    data = bytearray(path.read_bytes())
    for position in range(len(data)):
        data[position] ^= 1 << (position % 8)
        path.write_bytes(data)
        with pytest.raises(ModelFileError, match=str(path)):
            read_tensors(path, "model")
        data[position] ^= 1 << (position % 8)


def test_any_truncation_is_found(path):
    data = path.read_bytes()
    for length in (*range(0, len(data), 7), len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ModelFileError):
            read_tensors(path, "model")


def test_foreign_bytes_at_the_end_are_found(path):
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ModelFileError, match="followed by foreign bytes"):
        read_tensors(path, "model")


def test_another_kind_of_file_is_refused(path):
    with pytest.raises(ModelFileError, match="'multiace-model' file where a 'multiace-checkpoint'"):
        read_tensors(path, "checkpoint")


def test_a_later_format_is_refused_with_its_version(path):
    data = path.read_bytes()
    path.write_bytes(
        _with_description(data, format_version=FORMAT_VERSION + 1, library_version="9.1")
    )
    with pytest.raises(ModelFileError, match=r"written in format 2 by multiace 9\.1.*Update"):
        read_tensors(path, "model")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "other"},
        {"format_version": "1"},
        {"format_version": -1},
        {"sha256": None},
        {"sha256": "0" * 64},
        {"sha256": "f" * 64},
        {"content": [1]},
        {"content": {"changed": True}},
    ],
    ids=str,
)
def test_a_changed_description_is_refused(path, changes):
    path.write_bytes(_with_description(path.read_bytes(), **changes))
    with pytest.raises(ModelFileError):
        read_tensors(path, "model")


def test_a_safetensors_file_of_others_is_refused(tmp_path):
    safetensors.torch.save_file(TENSORS, tmp_path / "other", metadata={"format": "pt"})
    with pytest.raises(ModelFileError, match="not a file of multiace"):
        read_tensors(tmp_path / "other", "model")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": 1}',
        b'{"a": {"data_offsets": "no"}}',
        b'{"__metadata__": 3}',
        b'{"n": ' + b"9" * 10_000 + b"}",
    ],
    ids=lambda text: repr(text[:30]),
)
def test_a_hostile_header_is_refused(tmp_path, header):
    (tmp_path / "file").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelFileError):
        read_tensors(tmp_path / "file", "model")


def test_a_huge_header_length_allocates_nothing(tmp_path):
    (tmp_path / "file").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelFileError, match="header claims 4,611,686,018,427,387,904 bytes"):
        read_tensors(tmp_path / "file", "model")


def test_a_huge_tensor_allocates_nothing(path):
    header, payload = _header(path.read_bytes())
    header["a"]["shape"] = [10**12]
    header["a"]["data_offsets"][1] = header["a"]["data_offsets"][0] + 8 * 10**12
    path.write_bytes(_with_header(header, payload))
    with pytest.raises(ModelFileError, match=r"header describes 8,000,[\d,]+: cut short"):
        read_tensors(path, "model")


def test_too_many_tensors_are_refused(path, monkeypatch):
    monkeypatch.setattr(tensor_file, "MAX_TENSORS", 2)
    with pytest.raises(ModelFileError, match="3 tensors are more than 2"):
        read_tensors(path, "model")


class _RunsCode:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_not_opened(tmp_path, protocol):
    marker = tmp_path / "marker"
    file = tmp_path / "model.safetensors"
    file.write_bytes(pickle.dumps(_RunsCode(marker), protocol=protocol))
    with pytest.raises(ModelFileError, match="pickle"):
        read_tensors(file, "model")
    assert not marker.exists()


def test_a_torch_save_file_is_refused_and_not_opened(tmp_path):
    marker = tmp_path / "marker"
    file = tmp_path / "model.safetensors"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_RunsCode(marker)))
    file.write_bytes(buffer.getvalue())
    with pytest.raises(ModelFileError, match="torch.save"):
        read_tensors(file, "model")
    assert not marker.exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="nothing.safetensors: cannot be read: No such file"):
        read_tensors(tmp_path / "nothing.safetensors", "model")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_never_replace_a_good_file(path, value):
    before = path.read_bytes()
    with pytest.raises(ModelFileError, match="tensor 'b' has 1 values that are not finite"):
        write_tensors(path, "model", {**TENSORS, "b": torch.tensor(value)}, CONTENT)
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_old_file_and_names_the_bytes_needed(path):
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(ModelFileError, match=r"cannot be written: .*It needs 8\d,\d\d\d bytes"):
            write_tensors(path, "model", {"a": torch.zeros(10_000, dtype=torch.float64)}, CONTENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_directory_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ModelFileError, match="cannot be written: No such file"):
        write_tensors(tmp_path / "no" / "file", "model", TENSORS, CONTENT)


def test_a_disk_that_stores_other_bytes_is_found_before_the_old_file_is_replaced(path, monkeypatch):
    before = path.read_bytes()
    original = os.fsync

    def lie(descriptor: int) -> None:
        os.pwrite(descriptor, b"\0", 20)
        original(descriptor)

    monkeypatch.setattr(os, "fsync", lie)
    with pytest.raises(ModelFileError, match="other bytes than were written"):
        write_tensors(path, "model", TENSORS, {"new": 1})
    monkeypatch.undo()
    assert path.read_bytes() == before
