"""Disks that fill up or cannot be written: what was there stays, and a message says what to do."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from tests.training import runs, tiny

from multiace.checkpoint import load_model, read_tensors


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """Return a directory on a disk of 4 MB of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    if shutil.which("mount") is None or _mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", path):
        pytest.skip("this process may not mount a tmpfs")
    yield path
    subprocess.run(["umount", path], check=True)


def _mount(*arguments: object) -> int:
    return subprocess.run(
        ["mount", *map(str, arguments)], stderr=subprocess.DEVNULL, check=False
    ).returncode


@contextmanager
def _full(disk: Path, free: int = 0) -> Iterator[None]:
    """Fill a disk but for some bytes."""
    filler = disk / "filler"
    left = shutil.disk_usage(disk).free - free
    filler.write_bytes(bytes(max(left, 0)))
    yield
    filler.unlink()


def _multiace(server, directory: Path, *arguments: object) -> tuple[int, str]:
    output = directory / "command.output"
    output.unlink(missing_ok=True)
    code = server.run(out=directory / "command", arguments=tuple(map(str, arguments)))
    return code, output.read_text()


@pytest.mark.parametrize("free", [0, 200_000, 600_000])
def test_a_full_disk_leaves_the_store_that_was_there(server, disk, tmp_path, free):
    source = tiny.write(tmp_path / "train.xyz", tiny.molecules(600))
    prepare = ("data", "prepare", source, "--out", disk / "train.h5")
    assert _multiace(server, tmp_path, *prepare)[0] == 0
    before = (disk / "train.h5").read_bytes()
    with _full(disk, free):
        code, printed = _multiace(server, tmp_path, *prepare)
        assert code == 2, printed
        assert "train.h5: the store cannot be written: No space left on device" in printed
        assert "Free space on that disk" in printed
        assert (disk / "train.h5").read_bytes() == before
        assert sorted(path.name for path in disk.iterdir()) == ["filler", "train.h5"]
    assert _multiace(server, tmp_path, *prepare)[0] == 0
    assert (disk / "train.h5").read_bytes() == before


def test_a_disk_that_cannot_be_written_is_named(server, disk, tmp_path):
    source = tiny.write(tmp_path / "train.xyz", tiny.molecules(3))
    if _mount("-o", "remount,ro", disk):
        pytest.skip("this process may not mount a disk for reading only")
    code, printed = _multiace(
        server, tmp_path, "data", "prepare", source, "--out", disk / "train.h5"
    )
    assert code == 2
    assert "train.h5: the store cannot be written: Read-only file system" in printed
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(tiny.config_fields(tmp_path)))
    code, printed = _multiace(
        server, tmp_path, "train", tmp_path / "run.yaml", "--out", disk / "run"
    )
    assert code == 2
    assert "Read-only file system" in printed
    assert "Traceback" not in printed


def test_a_run_on_a_disk_that_fills_up_goes_on_when_there_is_room_again(server, disk, tmp_path):
    fields = tiny.config_fields(tmp_path, checkpoint={"seconds": None, "steps": 2})
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(fields))
    train = ("train", tmp_path / "run.yaml", "--quiet", "--set")
    whole, out = tmp_path / "whole", disk / "run"
    assert _multiace(server, tmp_path, *train, "epochs=6", "--out", whole)[0] == 0
    assert _multiace(server, tmp_path, *train, "epochs=2", "--out", out)[0] == 0
    with _full(disk):
        code, printed = _multiace(server, tmp_path, *train, "epochs=6", "--out", out, "--resume")
        assert code == 2, printed
        assert "No space left on device" in printed
        assert "Traceback" not in printed
        for path in out.glob("checkpoints/step-*.safetensors"):
            read_tensors(path, "checkpoint")
        load_model(out / "model.safetensors")
    assert _multiace(server, tmp_path, *train, "epochs=6", "--out", out, "--resume")[0] == 0
    runs.assert_same_run(whole, out)
