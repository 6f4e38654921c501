"""Run a study: everything that is missing, exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from multiace.study.ledger import Ledger
from multiace.study.local import Executor
from multiace.study.prepare import write_plan
from multiace.study.status import Status, read_status
from multiace.study.study import Cell, Run, Study

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_REPORTS = 2.0

Show = Callable[[Status], None]


def run_study(
    study: Study,
    out: Path,
    executor: Executor,
    *,
    retry: bool = False,
    timed: Callable[[Cell], float] | None = None,
    show: Show = lambda status: None,
) -> Status:
    """Do every run of a study that is not done; return how all of them stand.

    A run is done once, however often and from however many machines this is called at a time: the
    ledger in `out` says which are claimed, done or failed. Whatever ends it early, the runs that
    are going save their state.

    Args:
        study: that was read.
        out: its directory.
        executor: does runs; closed at the end.
        retry: do runs again that failed.
        timed: seconds of an epoch of a cell, for `budget: minutes`.
        show: called every few seconds.

    Raises:
        StudyError: the plan cannot be written.
        DataError: data that cannot be trained on.
    """
    try:
        if study.config.plan.kind == "search":
            from multiace.study.search import Search

            Search(study, out, executor, retry=retry, timed=timed, show=show).run()
        else:
            runs = write_plan(study, out, study.cells, timed)
            Queue(out, runs, executor, retry=retry, show=show).drain()
    finally:
        executor.close()
    status = read_status(out)
    show(status)
    return status


class Queue:
    """Runs that wait for a place.

    Args:
        out: directory of the study.
        runs: to do, in this order.
        executor: does them.
        retry: do runs again that failed.
        show: called every few seconds.
    """

    def __init__(
        self,
        out: Path,
        runs: Sequence[Run],
        executor: Executor,
        *,
        retry: bool = False,
        show: Show = lambda status: None,
    ) -> None:
        from multiace.study.prepare import read_plan

        self.out, self.ledger, self.executor = out, Ledger(out), executor
        self.retry, self.show = retry, show
        self.running: set[str] = set()
        self.waiting = list(dict.fromkeys(run.name for run in runs))
        self._retried: set[str] = set()
        self._shown = 0.0
        evaluations: dict[str, Any] = read_plan(out)["evaluations"]
        self._evaluations = [content["id"] for content in evaluations.values()]

    def drain(self) -> None:
        """Do all runs; return when each is done or failed, here or elsewhere."""
        while self.waiting or self.running:
            self.step()
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def add(self, runs: Sequence[Run]) -> None:
        """Let more runs wait."""
        known = self.running.union(self.waiting)
        self.waiting += [run.name for run in runs if run.name not in known]

    def drop(self, name: str) -> None:
        """Stop a run, or do not start it."""
        if name in self.waiting:
            self.waiting.remove(name)
        if name in self.running:
            self.executor.cancel(name)

    def step(self) -> list[str]:
        """Start what there is room for; return the runs that came to an end."""
        ended = []
        for name, outcome in self.executor.ended().items():
            self.running.discard(name)
            pruned = self.ledger.state(name, self._evaluations) == "pruned"
            if outcome in ("done", "failed") or pruned:
                ended.append(name)
            else:
                self.waiting.insert(0, name)  # died, stopped, or taken by somebody else
        for name in list(self.waiting):
            state = self.ledger.state(name, self._evaluations)
            given_up = state == "failed" and not self._may_retry(name)
            if state in ("done", "pruned") or given_up:
                self.waiting.remove(name)
                ended.append(name)
            elif state != "running" and self.executor.n_free > 0:
                self.waiting.remove(name)
                self.running.add(name)
                self.executor.start(name, retry=self._may_retry(name))
                self._retried.add(name)
        if time.monotonic() - self._shown > SECONDS_BETWEEN_REPORTS:
            self.show(read_status(self.out))
            self._shown = time.monotonic()
        return ended

    def _may_retry(self, name: str) -> bool:
        return self.retry and name not in self._retried
