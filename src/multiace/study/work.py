"""Do one run: claim it, train, judge, and write down what came of it."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch

from multiace.checkpoint import load_model
from multiace.study.evaluate import evaluate
from multiace.study.ledger import HEARTBEAT, Claim, Ledger, create_file, write_json
from multiace.study.prepare import read_plan, training_of
from multiace.training import TrainingConfig, train
from multiace.training.memory import keep_freed_memory

Outcome = Literal["done", "failed", "taken", "stopped"]


def work(out: str | Path, name: str, *, retry: bool = False, watch_parent: bool = True) -> Outcome:
    """Do a run if it can be claimed; whatever happens to it is in the ledger afterwards.

    SIGTERM and SIGINT save its state and raise `SystemExit`.

    Args:
        out: directory of the study.
        name: of the run.
        retry: do it although it failed before.
        watch_parent: stop when the process that started this one is gone.

    Returns:
        `taken` if another process works on it.
    """
    ledger = Ledger(out)
    plan = read_plan(ledger.path)
    evaluations = plan["evaluations"]
    if ledger.is_done(name, (content["id"] for content in evaluations.values())):
        return "done"
    claim = ledger.claim(name, retry=retry)
    if claim is None:
        return "taken"
    torch.set_num_threads(plan["study"]["threads"])
    keep_freed_memory()
    with _signals_as_exit(), _heartbeat(claim, watch_parent):
        try:
            config = training_of(ledger, name)
            _train(ledger, name, config)
            _evaluate(ledger, name, config, evaluations)
        except Exception:
            claim.end("failed", traceback.format_exc())
            return "failed"
        except BaseException as stopped:
            claim.end("stopped", str(stopped))
            raise
        claim.end("done")
    return "done"


def _train(ledger: Ledger, name: str, config: TrainingConfig) -> None:
    run = ledger.run_path(name)
    if (run / "result.json").exists():
        return
    result = train(config, resume=True, progress="none")
    history = result.history
    create_file(
        run / "result.json",
        {
            "reason": result.reason,
            "seconds": result.seconds,
            "epochs": history[-1].epoch + 1,
            "steps": history[-1].step,
            "parameters": result.potential.n_parameters,
            "kernels": result.potential.kernels.label,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        },
    )


def _evaluate(
    ledger: Ledger, name: str, config: TrainingConfig, evaluations: dict[str, dict[str, Any]]
) -> None:
    run = ledger.run_path(name)
    model = run / "model.safetensors"
    load_model(model)  # a model that cannot be read fails the run, not each evaluation
    for content in evaluations.values():
        path = run / "evaluations" / f"{content['id']}.json"
        if not path.exists():
            found = evaluate(model, content, device=config.device, kernels=config.kernels)
            write_json(path, found)


@contextmanager
def _signals_as_exit() -> Iterator[None]:
    """Let SIGTERM and SIGINT end the work in order; training has its own way to take them."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {n: signal.signal(n, leave) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _heartbeat(claim: Claim, watch_parent: bool) -> Iterator[None]:
    """Touch the claim while the work goes on; end the process if it lost its right to go on."""
    done = threading.Event()
    parent = os.getppid()

    def beat() -> None:
        while not done.wait(HEARTBEAT):
            try:
                claim.touch()
            except OSError:
                os._exit(1)  # the study was removed
            if not claim.is_latest:
                os._exit(1)  # it was taken for dead: the run belongs to another process now
            if watch_parent and os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
