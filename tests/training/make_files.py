"""Write a run of this version and how it goes on: once for each version of the file format.

    python -m tests.training.make_files

Files of earlier versions are never made again: they show that old runs can be continued for ever.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.training import runs, tiny

from multiace.checkpoint.tensor_file import FORMAT_VERSION
from multiace.training import train

FILES = Path(__file__).parent / "files"
STOPPED, WHOLE = 2, 4
"""Epochs of the run that is kept, and of the one it is compared with."""


def main() -> None:
    """Keep a run of two epochs, and the metrics of the same run with four."""
    kept = FILES / f"v{FORMAT_VERSION}"
    (kept / "checkpoints").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        whole = tiny.config(directory, epochs=WHOLE, out=str(directory / "whole"))
        train(whole, progress="none")
        stopped = tiny.config(directory, epochs=STOPPED, kernels="reference")
        out = train(stopped, progress="none").out
        for file in ("config.yaml", "run.json", "metrics.jsonl"):
            shutil.copy(out / file, kept)
        shutil.copy(runs.last_checkpoint(out), kept / "checkpoints")
        shutil.copy(directory / "train.xyz", kept)
        shutil.copy(directory / "whole" / "metrics.jsonl", kept / "expected.jsonl")


if __name__ == "__main__":
    main()
