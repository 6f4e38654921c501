"""`multiace train`: train a potential from a YAML config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(help="YAML config of the run.", show_default=False)],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change an option of the config: a.b=c. Repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run directory; goes before `out` in the config.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in the run directory.")
    ] = False,
    from_model: Annotated[
        Path | None,
        typer.Option("--from", help="Start from the weights of this model (fine-tuning)."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print errors only; log.txt has the rest.")
    ] = False,
) -> None:
    """Train a potential.

    The run directory holds the resolved config, metrics.jsonl, log.txt, checkpoints, the best
    model as model.safetensors, and errors.json on the test sets. SIGTERM and Ctrl-C finish the
    step, save and exit with 143 and 130; a second one exits at once.

    Example: multiace train botnet.yaml --set epochs=50 --out runs/botnet
    """
    from multiace.training import TrainingInterrupted, read_config
    from multiace.training import train as run
    from multiace.training.memory import keep_freed_memory

    keep_freed_memory()
    options = list(changes or [])
    if out is not None:
        options.append(f"out={json.dumps(str(out))}")
    try:
        run(
            read_config(config, options, from_model=from_model),
            resume=resume,
            from_model=from_model,
            progress="none" if quiet else "auto",
        )
    except TrainingInterrupted as stopped:
        if quiet:
            typer.echo(stopped, err=True)
        raise
