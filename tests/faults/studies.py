"""Studies in processes that are killed: what `fork_server` calls, with the directory of one."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from tests.study import tiny

from multiace.study.local import LocalProcesses
from multiace.study.runner import run_study

N_WORKER_KILLS = 4
CHECKPOINT_STEPS = 2


class KilledProcesses(LocalProcesses):
    """Local processes, some of which are killed while they work."""

    kills = 0
    _next = 0.0

    def ended(self):
        """Kill a process now and then before looking who has come to an end."""
        now = time.monotonic()
        if self.pids and self.kills < N_WORKER_KILLS and now > self._next > 0.0:
            os.kill(generator.choice(list(self.pids.values())), signal.SIGKILL)
            self.kills += 1
            (self._out / "kills").write_text(str(self.kills))
        if now > self._next:
            self._next = now + generator.uniform(0.1, 0.4)
        return super().ended()


generator = random.Random(1)


def run(out: Path) -> None:
    """Run a study of six cells on two processes."""
    _run(out, LocalProcesses(out, 2, method="fork"))


def run_with_kills(out: Path) -> None:
    """Run it while worker after worker is killed."""
    out.mkdir()
    _run(out, KilledProcesses(out, 2, method="fork"))


def _run(out: Path, executor: LocalProcesses) -> None:
    checkpoint = {"seconds": None, "steps": CHECKPOINT_STEPS}
    study = tiny.study(out.parent, base={"checkpoint": checkpoint}, out=str(out))
    status = run_study(study, out, executor)
    assert status.count("done") == len(status.runs), status
