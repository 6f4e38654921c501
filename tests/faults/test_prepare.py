"""`multiace data prepare` killed at any moment: sources and older stores are what they were."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.training import tiny

from multiace.data import Store

NEW, OLD = 300, 20
"""Structures of the store that is being prepared, and of the one that is there before."""


def _command(directory: Path) -> tuple[str, ...]:
    store = str(directory / "train.h5")
    return ("data", "prepare", str(directory / "train.xyz"), "--out", store, "--cutoff", "3")


def _prepare(server, directory: Path, **request) -> int:
    return server.run(out=directory / "prepare", arguments=_command(directory), **request)


@dataclass(frozen=True)
class Whole:
    """A store that was prepared without disturbance, in the directory of all tests.

    Args:
        directory: where sources and stores lie; their names are part of a store.
        old: bytes of the store of a shorter source.
        new: bytes of the store.
        source: bytes of its source.
        seconds: that it took.
    """

    directory: Path
    old: bytes
    new: bytes
    source: bytes
    seconds: float

    def begin(self) -> Path:
        """Put the old store beside the new source; return the directory."""
        for path in self.directory.iterdir():
            path.unlink()
        (self.directory / "train.h5").write_bytes(self.old)
        (self.directory / "train.xyz").write_bytes(self.source)
        return self.directory

    def assert_nothing_lost(self) -> None:
        """Find a whole store, the source and at most one temporary file."""
        assert (self.directory / "train.xyz").read_bytes() == self.source
        assert (self.directory / "train.h5").read_bytes() in (self.old, self.new)
        names = {path.name for path in self.directory.iterdir()}
        assert names <= {"train.xyz", "train.h5", ".train.h5.tmp", "prepare.output"}


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory):
    """Return a store that was prepared without disturbance."""
    directory = tmp_path_factory.mktemp("prepare")
    source, store = directory / "train.xyz", directory / "train.h5"
    stores = []
    seconds = 0.0
    for number in (OLD, NEW):
        tiny.write(source, tiny.molecules(number))
        started = time.monotonic()
        assert _prepare(server, directory) == 0, (directory / "prepare.output").read_text()
        stores.append(store.read_bytes())
        seconds = time.monotonic() - started
    old, new = stores
    return Whole(directory, old, new, source.read_bytes(), seconds)


@pytest.mark.parametrize(
    "n_kills", [pytest.param(4), pytest.param(30, marks=pytest.mark.slow)], ids=str
)
def test_kills_at_random_moments_lose_nothing(server, whole, n_kills):
    generator = random.Random(0)
    directory = whole.begin()
    kills = 0
    while kills < n_kills:
        after = generator.uniform(0.0, 0.9 * whole.seconds)
        status = _prepare(server, directory, signal=signal.SIGKILL, after=after)
        assert status in (0, -signal.SIGKILL)
        whole.assert_nothing_lost()
        kills += status != 0
        if status == 0:
            whole.begin()
    assert _prepare(server, directory) == 0
    assert (directory / "train.h5").read_bytes() == whole.new
    assert not (directory / ".train.h5.tmp").exists()


@pytest.mark.parametrize(
    ("function", "call"),
    [("posix_fallocate", 2), ("ftruncate", 1), ("pwrite", 1), ("fsync", 1), ("replace", 1)],
)
def test_a_kill_inside_the_writing_leaves_the_old_store(server, whole, function, call):
    directory = whole.begin()
    assert _prepare(server, directory, kill_at=(function, call)) == -signal.SIGKILL
    assert (directory / "train.h5").read_bytes() == whole.old
    assert (directory / ".train.h5.tmp").exists()
    assert len(Store(directory / "train.h5")) == OLD
    assert _prepare(server, directory) == 0
    assert (directory / "train.h5").read_bytes() == whole.new
    assert not (directory / ".train.h5.tmp").exists()
