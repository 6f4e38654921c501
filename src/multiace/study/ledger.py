"""The ledger of a study: which runs are claimed, done or failed, as files that appear whole.

| file in `runs/NAME` | what |
|---|---|
| `claims/K.json` | the K-th attempt: who works on it; touched every second while it does |
| `claims/K.end.json` | how that attempt ended: done, stopped, died, or failed with a traceback |
| `result.json` | what the training came to |
| `pruned.json` | a search gave it up |
| `evaluations/*.json` | what the model was judged to be, by content of the test |
| the rest | the run directory of the training, as in `docs/training.md` |

A claim is a hard link to a file that was written before: only one process can make it, on network
file systems too, and taking over from a dead one means making the next number. Nothing is locked
and nothing is removed, so a process may be killed between any two system calls.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from multiace.checkpoint import replace_file

State = Literal["waiting", "running", "done", "failed", "pruned"]
Ending = Literal["done", "stopped", "died", "failed"]

HEARTBEAT = 1.0
"""Seconds between two touches of a claim."""

GRACE = 2.0
"""Age of a heartbeat, s, from which on a process of this machine that is gone counts as dead."""

SILENCE = 300.0
"""Age of a heartbeat, s, from which on a process of another machine counts as dead."""

MOST_DEATHS = 3
"""Attempts that may die one after another without a new checkpoint."""

_numbers = itertools.count()


@dataclass(frozen=True)
class Claim:
    """The right to work on a run.

    Args:
        run: its directory.
        number: of the attempt, from 1.
    """

    run: Path
    number: int

    @property
    def path(self) -> Path:
        """The file that is the claim."""
        return self.run / "claims" / f"{self.number}.json"

    @property
    def end_path(self) -> Path:
        """The file that says how the attempt ended."""
        return self.run / "claims" / f"{self.number}.end.json"

    @property
    def is_latest(self) -> bool:
        """Whether nobody has taken over."""
        return not Claim(self.run, self.number + 1).path.exists()

    def touch(self) -> None:
        """Show that the process is alive."""
        os.utime(self.path)

    def end(self, how: Ending, message: str = "") -> None:
        """Say how the attempt ended; the first word on it stays."""
        content = {"how": how, "message": message, "time": _now()}
        create_file(self.end_path, content)


class Ledger:
    """Runs of a study in a directory.

    Args:
        path: directory of the study.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def plan_path(self) -> Path:
        """What is to be run."""
        return self.path / "plan.json"

    def run_path(self, name: str) -> Path:
        """Return the directory of a run."""
        return self.path / "runs" / name

    def result(self, name: str) -> dict[str, Any] | None:
        """Return what the training of a run came to; None if it is not done."""
        return read_json(self.run_path(name) / "result.json")

    def evaluation(self, name: str, evaluation: str) -> dict[str, Any] | None:
        """Return one evaluation of a run; None if there is none yet."""
        return read_json(self.run_path(name) / "evaluations" / f"{evaluation}.json")

    def is_done(self, name: str, evaluations: Iterable[str]) -> bool:
        """Whether a run is trained and all evaluations are there."""
        run = self.run_path(name)
        return (run / "result.json").exists() and all(
            (run / "evaluations" / f"{evaluation}.json").exists() for evaluation in evaluations
        )

    def last_claim(self, name: str) -> Claim | None:
        """Return the newest claim of a run."""
        folder = self.run_path(name) / "claims"
        if not folder.is_dir():
            return None
        numbers = [int(p.stem) for p in folder.glob("*.json") if p.stem.isdigit()]
        return Claim(self.run_path(name), max(numbers)) if numbers else None

    def state(self, name: str, evaluations: Iterable[str]) -> State:
        """Return where a run stands."""
        if self.is_done(name, evaluations):
            return "done"
        if (self.run_path(name) / "pruned.json").exists():
            return "pruned"
        claim = self.last_claim(name)
        if claim is None:
            return "waiting"
        ending = read_json(claim.end_path)
        if ending is None and is_alive(claim):
            return "running"
        if self.failure(name) is not None:
            return "failed"
        return "waiting"

    def failure(self, name: str) -> str | None:
        """Return why a run failed: its traceback, or that its processes died again and again."""
        claim = self.last_claim(name)
        if claim is None:
            return None
        ending = read_json(claim.end_path)
        if ending is not None and ending["how"] == "failed":
            return ending["message"]
        deaths = self._deaths(claim)
        if deaths < MOST_DEATHS:
            return None
        return (
            f"Its process died {deaths} times without reaching a new checkpoint, the last time "
            f"{'for no reason that is known' if ending is None else ending['message']}. "
            "Systems kill processes that take too much memory: try fewer --workers."
        )

    def _deaths(self, claim: Claim) -> int:
        """Count the attempts at the end that died where they had begun."""
        deaths = 0
        for number in range(claim.number, 0, -1):
            attempt = Claim(claim.run, number)
            ending = read_json(attempt.end_path)
            died = not is_alive(attempt) if ending is None else ending["how"] == "died"
            if not died or (read_json(attempt.path) or {}).get("checkpoint") != _newest(claim.run):
                break
            deaths += 1
        return deaths

    def claim(self, name: str, *, retry: bool = False) -> Claim | None:
        """Take a run, if nobody works on it; None if somebody does or it failed.

        Args:
            name: of the run.
            retry: take it although it failed.
        """
        run = self.run_path(name)
        (run / "claims").mkdir(parents=True, exist_ok=True)
        last = self.last_claim(name)
        if last is not None:
            if read_json(last.end_path) is None and is_alive(last):
                return None
            if self.failure(name) is not None and not retry:
                return None
        claim = Claim(run, 1 if last is None else last.number + 1)
        content = {**_this_process(), "checkpoint": _newest(run), "time": _now()}
        return claim if create_file(claim.path, content) else None

    def prune(self, name: str) -> None:
        """Give up a run that is not worth finishing."""
        write_json(self.run_path(name) / "pruned.json", {"time": _now()})

    def bury(self, name: str, pid: int, message: str) -> None:
        """Write down the death of a process of this machine that was seen to end."""
        claim = self.last_claim(name)
        if claim is None:
            return
        content = read_json(claim.path) or {}
        if content.get("pid") == pid and content.get("host") == socket.gethostname():
            claim.end("died", message)


def is_alive(claim: Claim) -> bool:
    """Whether the process that made a claim is still there.

    On this machine the process table says so; on another the heartbeat does, by the clock of the
    file system.
    """
    content = read_json(claim.path)
    if content is None:
        return False
    age = _clock(claim.run) - claim.path.stat().st_mtime
    own = _this_process()
    if content["host"] == own["host"] and content["boot"] == own["boot"]:
        return age < GRACE or started(content["pid"]) == content["started"]
    return age < SILENCE


def _clock(folder: Path) -> float:
    """Return the time of the file system, which may differ from that of this machine."""
    path = folder / f".clock.{os.getpid()}.{next(_numbers)}"
    path.touch()
    now = path.stat().st_mtime
    path.unlink(missing_ok=True)
    return now


def started(pid: int) -> str | None:
    """Return when a process began, in ticks since the start of the machine; None if it is gone.

    Where there is no /proc, processes that exist have the answer "unknown".
    """
    if not os.path.isdir("/proc/self"):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return "unknown"
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


def _this_process() -> dict[str, Any]:
    boot = Path("/proc/sys/kernel/random/boot_id")
    return {
        "host": socket.gethostname(),
        "boot": boot.read_text().strip() if boot.exists() else "",
        "pid": os.getpid(),
        "started": started(os.getpid()),
    }


def _newest(run: Path) -> str:
    """Return the name of the newest checkpoint of a run."""
    return max((path.name for path in run.glob("checkpoints/step-*.safetensors")), default="")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def create_file(path: Path, content: Mapping[str, Any]) -> bool:
    """Write a JSON file that must not exist yet, whole or not at all.

    Returns:
        False if it existed already; then nothing is changed.
    """
    temporary = path.with_name(
        f".{path.name}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
    )
    replace_file(temporary, json.dumps(content, indent=2).encode())
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write or replace a JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(content, indent=2, ensure_ascii=False).encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the content of a JSON file; None if there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
