"""A process that imports torch once and then forks real training processes on request.

Reads `Request`s as JSON lines from standard input and answers each with the exit status of the
process that trained; it is negative for a signal.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tests.training import tiny

from multiace.cli.main import main as command_line
from multiace.data import prepare_store
from multiace.training import train
from multiace.training.log import Log


@dataclass(frozen=True)
class Request:
    """One process.

    Args:
        out: run directory; the data are beside it.
        resume: continue the run there.
        arguments: run the command line with these instead.
        function: call this function, `module:name`, with the path `out` instead.
        kill_at: function of `os` and number of its call before which the process kills itself.
        signal: signal to send.
        after: seconds to wait before, or a file to wait for.
    """

    out: str
    resume: bool = False
    arguments: tuple[str, ...] | None = None
    function: str | None = None
    kill_at: tuple[str, int] | None = None
    signal: int | None = None
    after: float | str = 0.0


def serve() -> None:
    """Serve requests until standard input ends."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:  # what is imported late, once for all
        train(tiny.config(Path(directory), epochs=1), progress="none")
        prepare_store([f"{directory}/train.xyz"], f"{directory}/train.h5")
    _answer("ready")
    for line in sys.stdin:
        request = Request(**json.loads(line))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch has threads, idle at fork
            pid = os.fork()
        if pid == 0:
            _child(request)
        if request.signal is not None:
            # Only the parent can signal safely: until it waits, the number is no other process's.
            _wait(request.after)
            os.kill(pid, request.signal)
        _, status = os.waitpid(pid, 0)
        _answer(os.waitstatus_to_exitcode(status))


def _answer(value: object) -> None:
    sys.stdout.write(f"{value}\n")
    sys.stdout.flush()


def _wait(after: float | str) -> None:
    if not isinstance(after, str):
        time.sleep(after)
        return
    for _ in range(1000):
        if Path(after).exists() and Path(after).stat().st_size > 0:
            return
        time.sleep(0.02)


def _child(request: Request) -> None:
    """Train in a new process, which never returns."""
    code = 1
    out = Path(request.out)
    try:
        _record_steps(out.with_suffix(".steps"))
        if request.kill_at:
            _kill_at(*request.kill_at)
        if request.function is not None:
            module, _, name = request.function.partition(":")
            getattr(importlib.import_module(module), name)(out)
        elif request.arguments is not None:
            _redirect_output(out.with_suffix(".output"))
            sys.argv = ["multiace", *request.arguments]
            command_line()
        else:
            config = tiny.config(
                out.parent, out=str(out), epochs=4, checkpoint={"seconds": None, "steps": 2}
            )
            train(config, resume=request.resume, progress="none")
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code)


def _redirect_output(path: Path) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _record_steps(path: Path) -> None:
    """Leave a trace of every step that was done, as a witness outside the run directory."""
    original = Log.step

    def step(self: Log, epochs: float, seconds: float) -> None:
        with path.open("a") as stream:
            stream.write(f"{epochs * 5:.0f}\n")
        original(self, epochs, seconds)

    Log.step = step


def _kill_at(function: str, call: int) -> None:
    """Kill this process with SIGKILL just before a call of `os.function`."""
    original = getattr(os, function)
    calls = 0

    def killed(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(os, function, killed)


if __name__ == "__main__":
    serve()
