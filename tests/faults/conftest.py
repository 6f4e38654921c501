"""Real processes for tests that end them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest


class Server:
    """Talks to `fork_server`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[2],
        )
        assert self._process.stdout.readline() == "ready\n"

    def run(self, **request) -> int:
        """Train in a new process; return its exit status."""
        from tests.faults.fork_server import Request

        self._process.stdin.write(json.dumps(asdict(Request(**request)), default=str) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the server."""
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def server():
    """Return a server that has imported torch."""
    server = Server()
    yield server
    server.close()
