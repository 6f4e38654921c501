"""`Part`: the frames of one source on disk, with the state to go on from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from multiace.data.atomic_write import write_atomically

_SECONDS_BETWEEN_SAVES: Final = 1.0


class Part:
    """Frames that are written as they are made.

    `STEM.xyz` grows; `STEM.json` says how much of it counts and the state after that. Whatever was
    written beyond when a process was killed is cut off by the next one.

    Args:
        stem: path without suffix.
    """

    def __init__(self, stem: Path) -> None:
        self.frames = stem.with_name(f"{stem.name}.xyz")
        self.record = stem.with_name(f"{stem.name}.json")
        self.n_written = 0
        self.failed: list[dict[str, Any]] = []
        self.state: Mapping[str, Any] = {}
        self.is_complete = False
        self._unsaved: list[str] = []
        self._n_bytes = 0
        self._saved_at = time.monotonic()
        self._open()

    def _open(self) -> None:
        self.frames.parent.mkdir(parents=True, exist_ok=True)
        try:
            record = json.loads(self.record.read_bytes())
            there = self.frames.stat().st_size if record["n_bytes"] else 0
            if there >= record["n_bytes"]:
                self._n_bytes = record["n_bytes"]
                self.n_written = record["n_written"]
                self.failed = record["failed"]
                self.state = record["state"]
                self.is_complete = record["is_complete"]
        except (OSError, ValueError, KeyError, TypeError):
            self._n_bytes = 0  # there is none, or it is damaged: from the beginning
        with open(self.frames, "ab") as stream:
            stream.truncate(self._n_bytes)

    @property
    def n_done(self) -> int:
        """Points that are done, failed ones included."""
        return self.n_written + len(self.failed)

    def add(self, frame: str, state: Mapping[str, Any]) -> None:
        """Add a frame and the state after it."""
        self._unsaved.append(frame)
        self.n_written += 1
        self._set(state)

    def fail(self, reason: str, info: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Count a point that failed and keep the state after it."""
        self.failed.append({"reason": reason, **info})
        self._set(state)

    def complete(self) -> None:
        """Say that nothing more will come."""
        self.is_complete = True
        self.save()

    def _set(self, state: Mapping[str, Any]) -> None:
        self.state = state
        if time.monotonic() - self._saved_at > _SECONDS_BETWEEN_SAVES:
            self.save()

    def save(self) -> None:
        """Write what is not on disk yet: frames first, then the record that counts them."""
        content = "".join(self._unsaved).encode()
        with open(self.frames, "ab") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        self._n_bytes += len(content)
        self._unsaved.clear()
        record = {
            "n_bytes": self._n_bytes,
            "n_written": self.n_written,
            "failed": self.failed,
            "state": self.state,
            "is_complete": self.is_complete,
        }
        write_atomically(self.record, json.dumps(record))
        self._saved_at = time.monotonic()
